import test from 'ava';
import express from 'express';
import { messageClassesOf } from '../../api/http/message-classes.js';
import { createHttpServer } from '../../api/http/server.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import { shareProcess } from '../helpers/context.js';
import { ask } from '../helpers/http.js';
import { createRecordingLogger } from '../helpers/log.js';

shareProcess();

test('requests and responses have the prototypes of their Express app from the start', async (t) => {
  const app = express();
  app.get('/', (req, res) => res.json({ host: req.get('host'), isApp: req.app === app }));
  const messages = messageClassesOf(app);
  const changed: unknown[] = [];
  const server = createHttpServer(
    {
      messages,
      onRequest(req, res) {
        const prototypes = [Object.getPrototypeOf(req), Object.getPrototypeOf(res)];
        app(req, res);
        changed.push(
          ...[req, res].filter((message, i) => Object.getPrototypeOf(message) !== prototypes[i]),
        );
      },
    },
    createRecordingLogger().log,
    {},
  );
  const port = await listen(server, 0, '127.0.0.1');
  t.teardown(() => closeServer(server, 0));
  const answer = await ask(`http://127.0.0.1:${port}/`, {
    signal: AbortSignal.timeout(30_000),
  });
  t.deepEqual(JSON.parse(answer.text), { host: `127.0.0.1:${port}`, isApp: true });
  t.deepEqual(changed, []);
});
