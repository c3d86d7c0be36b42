/**
 * Starts at most so many tasks in one turn of the event loop, in the order in which they came; the others wait for the next
 * turns. Node accepts one connection a turn and reads what has arrived on all of them: when hundreds of clients send at once,
 * work that all starts in one turn would keep every other request, and every new connection, waiting for the whole of it.
 */
export function createFewPerTurn(maxPerTurn: number): (task: () => void) => void {
  const waiting: (() => void)[] = [];
  let started = 0;

  const start = (task: () => void): void => {
    if (started === 0) setImmediate(nextTurn);
    started += 1;
    task();
  };
  const nextTurn = (): void => {
    started = 0;
    for (const task of waiting.splice(0, maxPerTurn)) start(task);
  };

  return (task) => {
    if (started < maxPerTurn) start(task);
    else waiting.push(task);
  };
}
