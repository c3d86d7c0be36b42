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

function refreshAges() {
  for (const time of document.querySelectorAll('time.ago')) {
    const seconds = Math.round((Date.now() - Date.parse(time.dateTime)) / SECOND);
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

function showLive(text, state) {
  const status = document.getElementById('live');
  if (!status) return;
  status.hidden = false;
  if (status.dataset.state !== state) status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

function follow(url) {
  const source = new EventSource(url);
  let heardAt = Date.now();
  source.addEventListener('parts', ({ data }) => {
    heardAt = Date.now();
    for (const part of JSON.parse(data)) replacePart(part);
    refreshAges();
    showLive('Live', 'live');
  });
  source.addEventListener('unknown', () => {
    heardAt = Date.now();
    showLive('PostgreSQL does not answer: the page shows earlier data', 'lost');
  });
  source.addEventListener('ended', () => {
    source.close();
    showLive('Your session has ended: log in again', 'lost');
  });
  source.addEventListener('error', () => {
    const isOver = source.readyState === EventSource.CLOSED;
    showLive(isOver ? 'No live updates: reload the page' : 'Connection lost, reconnecting', 'lost');
  });
  setInterval(() => {
    if (source.readyState === EventSource.OPEN && Date.now() - heardAt > STALE_AFTER_MS)
      showLive(`No update for ${duration((Date.now() - heardAt) / SECOND)}`, 'lost');
  }, SECOND);
}

const { live } = document.body.dataset;
if (live) follow(live);
setInterval(refreshAges, SECOND);
