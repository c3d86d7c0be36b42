import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const script = readFileSync(join(projectRoot, 'api/console/assets/console.js'), 'utf8');

const SERVER_TIME = Date.parse('2026-11-29T03:00:00Z');

test('ages are counted by the clock of the server, however wrong that of the browser is', (t) => {
  for (const offMinutes of [-10, 0, 10]) {
    const page = openConsolePage(offMinutes * 60_000);
    page.ages[0].dateTime = new Date(SERVER_TIME - 60_000).toISOString();
    page.pass(1);
    t.is(page.ages[0].textContent, '61 s ago', `off by ${offMinutes} min`);
    page.send('parts', { now: new Date(SERVER_TIME + 600_000), parts: [] });
    t.is(page.ages[0].textContent, '11 min ago', 'the clock was set, or the device has slept');
  }
});

test('a page that is not updated any more says so once, and since when', (t) => {
  const page = openConsolePage();
  page.send('parts', { now: new Date(SERVER_TIME), parts: [] });
  t.is(page.dataset.state, 'live');
  t.deepEqual(page.announced, [], 'what is as expected is not told');
  page.pass(15);
  t.is(page.dataset.state, 'live');
  page.pass(30);
  t.is(page.dataset.state, 'lost');
  t.deepEqual(page.announced, ['Outdated: no updates arrive.']);
  t.false(page.shown.hidden);
  t.is(page.ages[1].textContent, '45 s ago');

  page.send('unknown', {});
  page.send('unknown', {});
  page.pass(1);
  t.deepEqual(page.announced.slice(1), ['Outdated: the server cannot read what is shown here.']);
  t.is(page.ages[1].textContent, '46 s ago');

  page.send('parts', { now: new Date(SERVER_TIME + 46_000), parts: [] });
  t.is(page.dataset.state, 'live');
  t.true(page.shown.hidden);
  t.deepEqual(page.announced.slice(2), ['Live again']);
});

test('an ended session offers the login, and ended updates to reload the page', (t) => {
  const page = openConsolePage();
  page.send('ended', {});
  t.is(page.link.textContent, 'Log in');
  t.deepEqual(page.announced, ['Outdated: your session has ended.']);
  t.true(page.source.isClosed);

  const refused = openConsolePage();
  refused.fail();
  t.deepEqual(refused.announced, ['Outdated: connection lost, reconnecting.']);
  t.is(refused.link.textContent, '');
  refused.source.close();
  refused.fail();
  t.is(refused.link.textContent, 'Reload the page');
});

/** Runs the script in a page that shows two ages, the second in the notice. @param offMs how much its clock is ahead. */
function openConsolePage(offMs = 0) {
  let now = SERVER_TIME + offMs;
  const announced: string[] = [];
  const ages = [newTime(), newTime()] as const;
  const link = { textContent: '' };
  const shown = { hidden: true, querySelector: (name: string) => (name === 'a' ? link : ages[1]) };
  const status = {
    set textContent(text: string) {
      announced.push(text);
    },
    get textContent() {
      return announced.at(-1) ?? '';
    },
  };
  const dataset: { live: string; now: string; state?: string } = {
    live: '/ops/live?page=overview',
    now: new Date(SERVER_TIME).toISOString(),
  };
  const elements = new Map<string, object>([
    ['live', status],
    ['shown', shown],
  ]);
  const timers: (() => void)[] = [];
  const listeners = new Map<string, (event: { readonly data: string }) => void>();
  const source = {
    isClosed: false,
    get readyState() {
      return this.isClosed ? 2 : 1;
    },
    addEventListener: listeners.set.bind(listeners),
    close: () => (source.isClosed = true),
  };
  const send = (name: string, data: object): void =>
    listeners.get(name)?.({ data: JSON.stringify(data) });
  runInNewContext(script, {
    document: {
      body: { dataset },
      getElementById: (id: string) => elements.get(id),
      querySelectorAll: () => ages,
    },
    // Called with `new`.
    EventSource: Object.assign(
      function EventSource() {
        return source;
      },
      { CLOSED: 2 },
    ),
    Date: class extends Date {
      static override now = () => now;
    },
    setInterval: (run: () => void) => timers.push(run),
  });
  return {
    ...{ announced, ages, dataset, link, shown, source, send },
    fail: () => send('error', {}),
    /** Lets seconds pass. */
    pass(seconds: number) {
      for (let i = 0; i < seconds; i += 1) {
        now += 1_000;
        for (const run of timers) run();
      }
    },
  };
}

const newTime = () => ({ dateTime: new Date(SERVER_TIME).toISOString(), textContent: '' });
