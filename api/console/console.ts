import type { RequestHandler, Router } from 'express';
import type { ConsoleDeps, ConsoleOptions } from './console-deps.js';
import { createStreams, type Streams } from './live/streams.js';

/** The operators' console. */
export interface OperatorConsole {
  /** Serves what is below `/ops`. */
  readonly handler: RequestHandler;
  /** Ends the live updates, so that the server can close. */
  close(): Promise<void>;
}

/** Its pages are loaded at the first request for one: most processes never serve any. */
export function createConsole(deps: ConsoleDeps, options: ConsoleOptions): OperatorConsole {
  const streams = createStreams(deps.log);
  let routes: Promise<Router> | undefined;
  return {
    async handler(req, res, next) {
      const router = await (routes ??= load(deps, options, streams));
      router(req, res, next);
    },
    close: () => streams.close(),
  };
}

async function load(deps: ConsoleDeps, options: ConsoleOptions, streams: Streams): Promise<Router> {
  const { consoleRoutes } = await import('./console.routes.js');
  return consoleRoutes(deps, options, streams);
}
