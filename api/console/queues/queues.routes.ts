import { Router } from 'express';
import * as z from 'zod';
import { readProcesses } from '../../../shared/presence/read-processes.js';
import { queueNames } from '../../../shared/queues/registry.js';
import { markup } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import { pauseQueue, readQueueReports, resumeQueue } from '../../ops/queues.service.js';
import { mayAct, operatorCause } from '../access/operator.js';
import type { ConsoleDeps } from '../console-deps.js';
import { Answer } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { questionRoutes, sendQuestion, type Ask } from '../layout/question.js';
import { wantsJson } from '../layout/wants-json.js';
import { renderQueue } from './queues.pages.js';

const QueueInput = z.object({ name: z.enum(queueNames) });

/** The queues, to be paused and resumed. */
export function queueRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/queues', async (req, res) => {
    const reports = await readQueueReports(deps);
    if (wantsJson(req)) {
      res.json(reports);
      return;
    }
    const processes = await readProcesses(deps.database);
    sendConsolePage(req, res, {
      title: 'Queues',
      section: 'mail',
      lead: 'No job is taken from a paused queue. Nothing is lost: new jobs wait.',
      body: reports.map((report) => renderQueue(report, processes, mayAct(req))),
    });
  });

  for (const action of ['pause', 'resume'] as const) {
    const ask: Ask = (req, res) => {
      const { name } = parse(QueueInput, req.params);
      const isPause = action === 'pause';
      sendQuestion(req, res, {
        title: `${isPause ? 'Pause' : 'Resume'} the queue ${name}?`,
        section: 'mail',
        text: isPause
          ? markup`<p>Jobs in progress finish, and no others start until somebody resumes the queue. New ones wait.</p>`
          : markup`<p>Workers take its jobs again, the longest waiting first.</p>`,
        action: `/ops/queues/${name}/${action}`,
        button: `${isPause ? 'Pause' : 'Resume'} ${name}`,
        back: '/ops/queues',
      });
    };
    questionRoutes(router, `/queues/:name/${action}`, ask, async (req, res) => {
      const { name } = parse(QueueInput, req.params);
      const { reason } = parse(Answer, req.body);
      await (action === 'pause' ? pauseQueue : resumeQueue)(deps, name, operatorCause(req, reason));
      if (wantsJson(req)) res.json(await readQueueReports(deps));
      else res.redirect(303, '/ops/queues');
    });
  }
  return router;
}
