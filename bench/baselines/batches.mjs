import { createServer } from 'node:http';
import { settings } from './settings.mjs';

/** Does work when asked: `run` gets the numbers of GET /run?name=number, and resolves to what it has found. */
export function serveBatches(run) {
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://localhost');
    if (pathname !== '/run') {
      res.end('{}');
      return;
    }
    const parameters = Object.fromEntries(
      [...searchParams].map(([name, value]) => [name, Number(value)]),
    );
    run(parameters).then(
      (found) => res.end(JSON.stringify(found ?? {})),
      (/** @type {unknown} */ error) => res.writeHead(500).end(String(error)),
    );
  });
  server.listen(settings.port, settings.host);
}
