import { Router } from 'express';
import * as z from 'zod';
import { taskNames } from '../../../shared/tasks/catalogue.js';
import { markup } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import { readSchedule, requestTask } from '../../ops/schedule.service.js';
import { mayAct, operatorCause } from '../access/operator.js';
import type { ConsoleDeps } from '../console-deps.js';
import { Answer } from '../form-fields.js';
import { sendConsolePage } from '../layout/console-page.js';
import { questionRoutes, sendQuestion, type Ask } from '../layout/question.js';
import { wantsJson } from '../layout/wants-json.js';
import { renderSchedule } from './schedule.pages.js';

const TaskInput = z.object({ task: z.enum(taskNames) });

/** The periodic tasks: when each ran last, with what result, and running one now. */
export function scheduleRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/schedule', async (req, res) => {
    const tasks = await readSchedule(deps);
    if (wantsJson(req)) {
      res.json(tasks);
      return;
    }
    sendConsolePage(req, res, {
      title: 'Schedule',
      section: 'schedule',
      live: 'page=schedule',
      lead: 'Workers with the role relay run these by themselves.',
      body: renderSchedule(tasks, mayAct(req)),
    });
  });

  const ask: Ask = async (req, res) => {
    const { task } = parse(TaskInput, req.params);
    const found = (await readSchedule(deps)).find((each) => each.task === task);
    sendQuestion(req, res, {
      title: `Run ${task} now?`,
      section: 'schedule',
      text: markup`<p>It ${found?.does}. A worker with the role relay starts it within about five seconds, once.</p>`,
      action: `/ops/schedule/${task}/run`,
      button: 'Run it',
      back: '/ops/schedule',
    });
  };
  questionRoutes(router, '/schedule/:task/run', ask, async (req, res) => {
    const { task } = parse(TaskInput, req.params);
    const { reason } = parse(Answer, req.body);
    await requestTask(deps, task, operatorCause(req, reason));
    if (wantsJson(req)) res.status(202).json(await readSchedule(deps));
    else res.redirect(303, '/ops/schedule');
  });
  return router;
}
