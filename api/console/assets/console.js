// Live updates of pages. They work without it.

const SECOND = 1_000;
const STALE_AFTER_MS = 15 * SECOND;

/** The largest unit, as the server writes it. */
function duration(seconds) {
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7_170) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

/** How far the server's clock is ahead of this one, which may be wrong. */
let aheadMs = 0;
const serverTime = () => Date.now() + aheadMs;

function setServerTime(now) {
  aheadMs = Date.parse(now) - Date.now();
}

function refreshAges() {
  for (const time of document.querySelectorAll('time.ago[datetime]')) {
    const seconds = Math.round((serverTime() - Date.parse(time.dateTime)) / SECOND);
    const text =
      seconds < -1
        ? `in ${duration(-seconds)}`
        : seconds < 2
          ? 'just now'
          : `${duration(seconds)} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

/** Replaces a part of the page, unless somebody is using it. */
function replacePart({ id, html }) {
  const old = document.getElementById(id);
  if (!old || old.contains(document.activeElement) || hasSelectionIn(old)) return;
  const template = document.createElement('template');
  template.innerHTML = html;
  const next = template.content.firstElementChild;
  if (next && !old.isEqualNode(next)) old.replaceWith(next);
}

function hasSelectionIn(element) {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed && selection.containsNode(element, true);
}

/** Marks the page as current. */
function showLive() {
  const { dataset } = document.body;
  if (dataset.state === 'lost') {
    document.getElementById('live').textContent = 'Live again';
    document.getElementById('shown').hidden = true;
  }
  dataset.state = 'live';
}

/** Marks the page as outdated. The status is read aloud at each change, so nothing in it counts. */
function showLost(reason, heardAt, action = '') {
  document.body.dataset.state = 'lost';
  const status = document.getElementById('live');
  const text = `Outdated: ${reason}.`;
  if (status.textContent === text) return;
  status.textContent = text;
  const shown = document.getElementById('shown');
  shown.querySelector('time').dateTime = new Date(heardAt).toISOString();
  shown.querySelector('a').textContent = action;
  shown.hidden = false;
  refreshAges();
}

function follow(url) {
  const source = new EventSource(url);
  let heardAt = serverTime();
  source.addEventListener('parts', ({ data }) => {
    const { now, parts } = JSON.parse(data);
    setServerTime(now);
    heardAt = serverTime();
    for (const part of parts) replacePart(part);
    refreshAges();
    showLive();
  });
  source.addEventListener('unknown', () =>
    showLost('the server cannot read what is shown here', heardAt),
  );
  source.addEventListener('ended', () => {
    source.close();
    showLost('your session has ended', heardAt, 'Log in');
  });
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED)
      showLost('live updates have stopped', heardAt, 'Reload the page');
    else showLost('connection lost, reconnecting', heardAt);
  });
  setInterval(() => {
    if (document.body.dataset.state !== 'lost' && serverTime() - heardAt > STALE_AFTER_MS)
      showLost('no updates arrive', heardAt);
  }, SECOND);
}

const { live, now } = document.body.dataset;
setServerTime(now);
if (live) follow(live);
setInterval(refreshAges, SECOND);
