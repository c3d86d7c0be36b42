/** The log viewer's page. viewer.js adds the records as text nodes. */
export const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Logs</title>
    <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%234655d6'/%3E%3Cpath d='M4 5h8M4 8h5M4 11h7' stroke='white' stroke-width='1.5' stroke-linecap='round'/%3E%3C/svg%3E" />
    <link rel="stylesheet" href="/viewer.css" />
    <script src="/viewer.js" defer></script>
  </head>
  <body>
    <header class="bar">
      <div class="title">
        <h1>Logs</h1>
        <label class="stream"><span class="hidden">Delivery stream</span><select id="stream"></select></label>
        <span id="count" class="count"></span>
      </div>
      <form id="filter" class="filter" role="search">
        <svg class="glass" viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3 3" /></svg>
        <input id="query" type="search" placeholder="Filter by any text or id" aria-label="Filter records" autocomplete="off" spellcheck="false" />
        <kbd>/</kbd>
        <button id="clear" class="clear" type="button" aria-label="Clear the filter">&times;</button>
      </form>
      <div class="levels" role="group" aria-label="Lowest level shown">
        <button type="button" data-level="">All</button>
        <button type="button" data-level="info">Info</button>
        <button type="button" data-level="warn">Warn</button>
        <button type="button" data-level="error">Error</button>
      </div>
      <button id="live" class="live" type="button" aria-pressed="true"><i></i><span>Live</span></button>
    </header>
    <button id="fresh" class="fresh" type="button" hidden></button>
    <main>
      <table>
        <thead>
          <tr>
            <th class="time">Time</th>
            <th class="level">Level</th>
            <th class="service">Service</th>
            <th class="message">Message</th>
            <th class="request">Request</th>
            <th class="status">Status</th>
            <th class="duration">Duration</th>
            <th class="id">Request id</th>
          </tr>
        </thead>
        <tbody id="rows"></tbody>
      </table>
      <p id="empty" class="empty" hidden><strong></strong><span></span></p>
      <button id="older" class="older" type="button" hidden>Show older records</button>
    </main>
  </body>
</html>
`;
