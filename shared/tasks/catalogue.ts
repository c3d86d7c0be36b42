/** What is to know about a periodic task. */
interface TaskFacts {
  /** What it does, for an operator. */
  readonly does: string;
  /** How often each worker with the role `relay` runs it. */
  readonly everySeconds: number;
}

/** Every periodic task, by the name that it also has in `POST /tasks/{name}`. */
export const taskCatalogue = {
  'sweep-outbox': {
    does: 'creates new jobs for enqueued mails whose jobs Redis has lost',
    everySeconds: 30,
  },
  'rotate-audit': {
    does: 'prepares the coming months of the audit and drops those older than 13 months',
    everySeconds: 6 * 3_600,
  },
  'purge-expired': {
    does: 'deletes what has expired: settled mails, sessions, links and registrations after 30 days',
    everySeconds: 6 * 3_600,
  },
} as const satisfies Readonly<Record<string, TaskFacts>>;

export type TaskName = keyof typeof taskCatalogue;

export const taskNames = Object.keys(taskCatalogue) as readonly TaskName[];

export const isTaskName = (text: string): text is TaskName => Object.hasOwn(taskCatalogue, text);
