/** What is to know about a periodic task. */
interface TaskFacts {
  /** What it does, for an operator. */
  readonly does: string;
  /** How often each worker with the role `relay` runs it. */
  readonly everySeconds: number;
}

/** How often the tasks run that keep the tables small: one after the other. */
export const HOUSEKEEPING_SECONDS = 6 * 3_600;

/** Every periodic task, by the name that it also has in `POST /tasks/{name}`. */
export const taskCatalogue = {
  'sweep-outbox': {
    does: 'creates new jobs for enqueued mails whose jobs Redis has lost',
    everySeconds: 30,
  },
  'rotate-audit': {
    does: 'prepares the coming months of the audit and drops those older than 13 months',
    everySeconds: HOUSEKEEPING_SECONDS,
  },
  'purge-expired': {
    does: 'deletes what has expired: settled mails, sessions, links and registrations after 30 days',
    everySeconds: HOUSEKEEPING_SECONDS,
  },
} as const satisfies Readonly<Record<string, TaskFacts>>;

export type TaskName = keyof typeof taskCatalogue;

export const taskNames = Object.keys(taskCatalogue) as readonly TaskName[];

export const isTaskName = (text: string): text is TaskName => Object.hasOwn(taskCatalogue, text);
