/** The log viewer's style sheet: light and dark by the reader's own preference. */
export const style = `:root {
  color-scheme: light dark;
  --page: #fbfbfc;
  --raised: #ffffff;
  --hover: #f3f4f8;
  --line: #e6e7ec;
  --ink: #1a1c23;
  --soft: #5c6070;
  --faint: #646878;
  --accent: #4655d6;
  --accent-soft: #eceefc;
  --debug: #646979;
  --info: #1a5fd0;
  --warn: #92600a;
  --warn-soft: #fdf4dd;
  --error: #c4262e;
  --error-soft: #fdecec;
  --good: #18794e;
  --mono: ui-monospace, "SF Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101116;
    --raised: #171920;
    --hover: #1b1e26;
    --line: #272a34;
    --ink: #e7e8ee;
    --soft: #a2a6b5;
    --faint: #8b90a1;
    --accent: #93a0ff;
    --accent-soft: #23284a;
    --debug: #8b90a1;
    --info: #6cb0ff;
    --warn: #e5b454;
    --warn-soft: #2b2415;
    --error: #ff7b7b;
    --error-soft: #321a1d;
    --good: #5ecb96;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 14px/1.45 var(--sans); }
button, input, select { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.bar {
  position: sticky; top: 0; z-index: 2; height: 56px; padding: 0 20px;
  display: flex; align-items: center; gap: 14px;
  background: var(--raised); border-bottom: 1px solid var(--line);
}
.title { display: flex; align-items: baseline; gap: 12px; min-width: 0; }
h1 { margin: 0; font-size: 16px; font-weight: 650; letter-spacing: -0.01em; }
.stream select {
  max-width: 220px; border: 0; background: none; padding: 2px 0; appearance: none;
  font: 13px var(--mono); color: var(--soft); text-overflow: ellipsis;
}
.stream select:not(:disabled) { cursor: pointer; text-decoration: underline dotted; text-underline-offset: 4px; }
.stream option { background: var(--raised); color: var(--ink); }
.count { color: var(--faint); font-size: 13px; white-space: nowrap; font-variant-numeric: tabular-nums; }

.filter { position: relative; flex: 1; max-width: 460px; margin-left: auto; }
.filter input {
  width: 100%; height: 34px; padding: 0 38px 0 34px; border-radius: 8px;
  border: 1px solid var(--line); background: var(--page);
}
.filter input::placeholder { color: var(--faint); opacity: 1; }
.filter input::-webkit-search-cancel-button { display: none; }
.filter input:focus { outline: 2px solid var(--accent); outline-offset: -1px; }
.glass { position: absolute; left: 11px; top: 9px; width: 16px; fill: none; stroke: var(--faint); stroke-width: 1.5; stroke-linecap: round; }
.filter kbd {
  position: absolute; right: 9px; top: 8px; padding: 0 6px; border: 1px solid var(--line); border-radius: 4px;
  font: 11px/17px var(--mono); color: var(--faint);
}
.filter input:focus ~ kbd, .filter input:not(:placeholder-shown) ~ kbd { display: none; }
.clear { position: absolute; right: 5px; top: 5px; width: 24px; height: 24px; padding: 0; border: 0; border-radius: 6px; background: none; color: var(--faint); font-size: 17px; line-height: 22px; }
.clear:hover { background: var(--hover); color: var(--ink); }
.filter input:placeholder-shown ~ .clear { display: none; }

.levels { display: flex; border: 1px solid var(--line); border-radius: 8px; padding: 2px; background: var(--page); }
.levels button { border: 0; background: none; height: 28px; padding: 0 10px; border-radius: 6px; font-size: 13px; color: var(--soft); }
.levels button:hover { color: var(--ink); }
.levels button[aria-pressed="true"] { background: var(--raised); color: var(--ink); font-weight: 600; box-shadow: 0 0 0 1px var(--line), 0 1px 2px rgb(0 0 0 / 8%); }

.live { display: flex; align-items: center; gap: 8px; height: 34px; padding: 0 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--page); font-size: 13px; min-width: 88px; }
.live:hover { background: var(--hover); }
.live i { width: 8px; height: 8px; border-radius: 50%; background: var(--faint); }
.live[aria-pressed="true"] i { background: var(--good); box-shadow: 0 0 0 3px color-mix(in srgb, var(--good) 22%, transparent); }
.live.lost i { background: var(--error); box-shadow: none; }

.fresh {
  position: fixed; z-index: 3; top: 66px; left: 50%; transform: translateX(-50%);
  border: 0; border-radius: 99px; padding: 7px 16px; background: var(--accent); color: var(--raised);
  font-size: 13px; font-weight: 600; box-shadow: 0 4px 16px rgb(0 0 0 / 22%);
}
.fresh[hidden] { display: none; }

main { padding-bottom: 40px; }
table { width: 100%; border-collapse: separate; border-spacing: 0; table-layout: fixed; }
th {
  position: sticky; top: 56px; z-index: 1; padding: 10px 12px 8px 0; background: var(--page); border-bottom: 1px solid var(--line);
  text-align: left; font-size: 12px; font-weight: 500; color: var(--faint);
}
th.time { width: 156px; padding-left: 38px; } th.level { width: 66px; } th.service { width: 132px; } th.request { width: 27%; }
th.status { width: 56px; } th.duration { width: 84px; text-align: right; padding-right: 24px; } th.id { width: 122px; padding-right: 20px; }
td {
  padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; height: 33px;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
tr.record { cursor: pointer; }
tr.record:hover td { background: var(--hover); }
tr.record.warn td { background: var(--warn-soft); }
tr.record.error td, tr.record.fatal td { background: var(--error-soft); }
tr.record.open td { border-bottom-color: transparent; }
td.time { position: relative; padding-left: 38px; }
td.time, td.request, td.status, td.duration, td.id, td.service { font: 12.5px/20px var(--mono); }
td.time, td.service { color: var(--soft); }
td.time time { font-variant-numeric: tabular-nums; }
td.time button { position: absolute; left: 16px; top: 7px; width: 16px; height: 18px; padding: 0; border: 0; background: none; color: var(--faint); }
td.time button::before { content: ""; display: block; width: 5px; height: 5px; margin: 0 auto; border: solid currentcolor; border-width: 0 1.5px 1.5px 0; transform: rotate(-45deg); transition: transform 120ms; }
td.time button[aria-expanded="true"]::before { transform: rotate(45deg); }
td.level { font-size: 12.5px; line-height: 20px; font-weight: 500; color: var(--debug); }
.info td.level { color: var(--info); }
.warn td.level { color: var(--warn); font-weight: 650; }
.error td.level, .fatal td.level { color: var(--error); font-weight: 650; }
td.message { font-weight: 450; }
td.request b { display: inline-block; min-width: 46px; margin-right: 8px; font-weight: 600; color: var(--soft); }
td.status { font-weight: 600; } td.status.s2, td.status.s3 { color: var(--good); } td.status.s4 { color: var(--warn); } td.status.s5 { color: var(--error); }
td.duration { text-align: right; padding-right: 24px; color: var(--soft); font-variant-numeric: tabular-nums; }
td.duration.slow { color: var(--warn); font-weight: 600; }
td.id { padding-right: 20px; }
.ref { border: 0; background: none; padding: 0 4px; margin-left: -4px; border-radius: 4px; font: 12.5px/20px var(--mono); color: var(--accent); max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
.ref:hover { background: var(--accent-soft); text-decoration: underline; text-underline-offset: 3px; }
tr.new td { animation: arrive 1.4s ease-out; }
@keyframes arrive { from { background: var(--accent-soft); } }
@media (prefers-reduced-motion: reduce) { tr.new td { animation: none; } }

tr.whole td { padding: 2px 20px 16px 38px; white-space: normal; height: auto; }
.document { position: relative; border: 1px solid var(--line); border-radius: 10px; background: var(--raised); padding: 12px 16px; }
.document dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 24px; margin: 0; font: 12.5px/20px var(--mono); }
.document dt { color: var(--faint); }
.document dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.document .number { color: var(--info); }
.copy { position: absolute; right: 10px; top: 10px; border: 1px solid var(--line); border-radius: 6px; background: var(--page); padding: 3px 10px; font-size: 12px; color: var(--soft); }
.copy:hover { color: var(--ink); background: var(--hover); }

.empty { margin: 14vh auto 0; max-width: 440px; text-align: center; color: var(--soft); }
.empty[hidden] { display: none; }
.empty strong { display: block; margin-bottom: 6px; font-size: 16px; color: var(--ink); }
.older { display: block; margin: 20px auto 0; border: 1px solid var(--line); border-radius: 8px; background: var(--raised); padding: 8px 18px; }
.older[hidden] { display: none; }
.older:hover { background: var(--hover); }

@media (max-width: 1080px) { th.service, td.service { display: none; } }
@media (max-width: 760px) {
  .bar { height: auto; flex-wrap: wrap; padding: 10px 14px; gap: 10px; }
  .title { flex: 1; } .stream { display: none; }
  .filter { order: 4; flex: 1 0 100%; max-width: none; }
  .levels { order: 5; flex: 1; } .levels button { flex: 1; }
  thead { display: none; }
  table, tbody { display: block; }
  td, td.time, td.duration, td.id { display: block; height: auto; padding: 0; border: 0; overflow: visible; }
  tr.record { position: relative; display: grid; grid-template-columns: max-content 1fr max-content max-content; gap: 1px 10px; padding: 9px 14px 9px 34px; border-bottom: 1px solid var(--line); }
  tr.record:hover, tr.record.open { background: var(--hover); }
  tr.record:hover td { background: none; }
  tr.record.warn { background: var(--warn-soft); } tr.record.error, tr.record.fatal { background: var(--error-soft); }
  tr.record td:empty, td.service, td.id { display: none; }
  td.time { position: static; } td.time button { left: 12px; top: 10px; }
  td.message { order: 2; grid-column: 1 / -1; white-space: normal; overflow-wrap: anywhere; }
  td.request { order: 3; grid-column: 1 / -1; white-space: normal; overflow-wrap: anywhere; }
  td.status { grid-column: 3; } td.duration { grid-column: 4; }
  tr.whole { display: block; } tr.whole td { padding: 10px 14px 14px; border-bottom: 1px solid var(--line); }
  .document dl { grid-template-columns: minmax(0, 1fr); gap: 0; } .document dd { margin-bottom: 6px; }
}
`;
