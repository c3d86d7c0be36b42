import { createServer } from 'node:http';
import { settings } from './settings.mjs';
import { findPage, findUser } from './user-rows.mjs';

// The limit: what node:http and pg cost by themselves.

const server = createServer((req, res) => {
  route(req).then(
    (found) => send(res, found === undefined ? 404 : 200, found ?? { error: 'not found' }),
    (/** @type {unknown} */ error) => send(res, 500, { error: String(error) }),
  );
});

async function route({ url }) {
  if (url === '/health/live') return { status: 'ok' };
  const [path, query] = url.split('?');
  if (path.startsWith('/users/')) return findUser(Number(path.slice('/users/'.length)));
  if (path !== '/users') return undefined;
  const parameters = new URLSearchParams(query);
  return findPage(parameters.get('admin'), parameters.get('after'), parameters.get('limit'));
}

function send(res, status, value) {
  const body = JSON.stringify(value);
  res.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  res.end(body);
}

server.listen(settings.port, settings.host);
