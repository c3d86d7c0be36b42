/** The log viewer's script. Whatever came from a record reaches the page as text, never as markup. */
export const script = `"use strict";

const pollMs = 1500;
const pageSize = 100;
const maxRows = 2000;
const byId = (id) => document.getElementById(id);
const rows = byId("rows");
const state = { stream: "", text: "", level: "", newest: 0, oldest: 0, live: true, waiting: [], round: 0 };

/* --- reading --- */

async function fetchRecords(query) {
  const params = new URLSearchParams({ stream: state.stream, q: state.text, level: state.level, ...query });
  for (const [name, value] of [...params]) if (value === "") params.delete(name);
  const response = await fetch("/_records?" + params);
  if (!response.ok) throw new Error("HTTP " + response.status);
  return response.json();
}

async function showFirstPage() {
  const round = ++state.round;
  const answer = await fetchRecords({ limit: pageSize });
  if (round !== state.round) return;
  state.waiting = [];
  state.newest = answer.next_after;
  state.oldest = answer.records.at(-1)?.seq ?? 0;
  rows.replaceChildren(...answer.records.map((record) => rowOf(record)));
  showStreams(answer);
  showState(answer.records.length === pageSize);
}

async function showOlder() {
  const round = state.round;
  const answer = await fetchRecords({ limit: pageSize, before: state.oldest });
  if (round !== state.round) return;
  state.oldest = answer.records.at(-1)?.seq ?? 0;
  rows.append(...answer.records.map((record) => rowOf(record)));
  showState(answer.records.length === pageSize);
}

async function poll() {
  const round = state.round;
  const answer = await fetchRecords({ limit: 500, after: state.newest });
  if (round !== state.round) return;
  state.newest = answer.next_after;
  state.waiting.push(...answer.records);
  showStreams(answer);
  if (window.scrollY < 80) showWaiting();
  else announceWaiting();
}

async function keepPolling() {
  try {
    if (state.live && !document.hidden) await poll();
    showConnection(true);
  } catch {
    showConnection(false);
  }
  setTimeout(keepPolling, pollMs);
}

/* --- showing --- */

function showWaiting() {
  const fresh = state.waiting.splice(0).slice(-maxRows).reverse();
  rows.prepend(...fresh.map((record) => rowOf(record, "new")));
  let surplus = rows.querySelectorAll("tr.record").length - maxRows;
  while (surplus > 0 && rows.lastChild) {
    if (rows.lastChild.className.includes("record")) surplus -= 1;
    rows.lastChild.remove();
    byId("older").hidden = false;
  }
  const last = [...rows.querySelectorAll("tr.record")].at(-1);
  if (last) state.oldest = Number(last.dataset.seq);
  announceWaiting();
  showState(!byId("older").hidden);
}

function announceWaiting() {
  const count = state.waiting.length;
  byId("fresh").hidden = count === 0;
  byId("fresh").textContent = count + (count === 1 ? " new record" : " new records");
}

function showStreams(answer) {
  const select = byId("stream");
  const names = answer.streams.map((stream) => stream.name);
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  state.stream = answer.stream ?? "";
  select.value = state.stream;
  select.disabled = names.length < 2;
  const total = answer.streams.find((stream) => stream.name === answer.stream)?.records ?? 0;
  byId("count").textContent = total.toLocaleString("en") + (total === 1 ? " record" : " records");
}

function showState(hasOlder) {
  const isEmpty = rows.childElementCount === 0;
  const isFiltered = state.text !== "" || state.level !== "";
  byId("older").hidden = isEmpty || !hasOlder;
  byId("empty").hidden = !isEmpty;
  document.querySelector("table").hidden = isEmpty;
  byId("empty").firstElementChild.textContent = isFiltered ? "Nothing matches" : "No records yet";
  byId("empty").lastElementChild.textContent = isFiltered
    ? "Press Esc to clear the filter."
    : "Each request to the API leaves one. Records appear here as soon as the worker has shipped them.";
}

function showConnection(isUp) {
  const button = byId("live");
  button.classList.toggle("lost", !isUp);
  button.setAttribute("aria-pressed", String(state.live && isUp));
  button.lastElementChild.textContent = !isUp ? "Offline" : state.live ? "Live" : "Paused";
}

/* --- one record --- */

function rowOf(record, extraClass) {
  const doc = record.document ?? {};
  const level = String(doc["log.level"] ?? "").toLowerCase();
  const row = element("tr", ["record", level.replace(/[^a-z]/g, ""), extraClass ?? ""].filter(Boolean).join(" "));
  row.dataset.seq = record.seq;
  const toggle = element("button", "");
  toggle.type = "button";
  toggle.setAttribute("aria-expanded", "false");
  toggle.setAttribute("aria-label", "Whole record");
  row.append(
    cell("time", toggle, timeOf(doc["@timestamp"] ?? record.received_at)),
    cell("level", level),
    cell("service", doc["service.name"]),
    cell("message", doc.message ?? (record.document ? "" : "(not JSON)")),
    cell("request", ...requestOf(doc)),
    cell("status s" + String(doc["http.response.status_code"] ?? "").charAt(0), doc["http.response.status_code"]),
    durationCell(doc["event.duration"]),
    cell("id", ...referenceTo(doc["http.request.id"], 10)),
  );
  row.children[3].title = row.children[3].textContent;
  row.children[4].title = row.children[4].textContent;
  row.addEventListener("click", (event) => {
    if (event.target.closest(".ref") || String(getSelection()) !== "") return;
    toggleWhole(row, toggle, record);
  });
  return row;
}

function toggleWhole(row, toggle, record) {
  const isOpen = row.classList.toggle("open");
  toggle.setAttribute("aria-expanded", String(isOpen));
  if (isOpen) row.after(wholeOf(record));
  else row.nextElementSibling.remove();
}

function wholeOf(record) {
  const doc = record.document ?? { data: record.data };
  const list = element("dl", "");
  for (const [name, value] of Object.entries(doc)) {
    const isId = /(^|\\.)id$/.test(name) && typeof value === "string" && value.length >= 8;
    const shown = element("dd", typeof value === "number" ? "number" : "");
    if (isId) shown.append(...referenceTo(value));
    else shown.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    list.append(element("dt", "", name), shown);
  }
  const copy = element("button", "copy", "Copy JSON");
  copy.type = "button";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(JSON.stringify(doc, null, 2));
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy JSON"; }, 1200);
  });
  const box = element("div", "document");
  box.append(list, copy);
  const whole = cell("", box);
  whole.colSpan = 8;
  const row = element("tr", "whole");
  row.append(whole);
  return row;
}

function timeOf(iso) {
  const at = new Date(iso);
  const shown = element("time", "");
  if (Number.isNaN(at.getTime())) return shown;
  const pad = (number, width) => String(number).padStart(width, "0");
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => pad(part, 2)).join(":");
  const isToday = at.toDateString() === new Date().toDateString();
  const day = at.toLocaleDateString("en", { month: "short", day: "numeric" });
  shown.textContent = isToday ? clock + "." + pad(at.getMilliseconds(), 3) : day + " " + clock;
  shown.dateTime = shown.title = at.toISOString();
  return shown;
}

function requestOf(doc) {
  const method = doc["http.request.method"];
  return [method ? element("b", "", method) : "", doc["url.path"] ?? ""];
}

function referenceTo(id, length) {
  if (typeof id !== "string" || id === "") return [];
  const isLong = length !== undefined && id.length > length;
  const button = element("button", "ref", isLong ? id.slice(0, length) + "\\u2026" : id);
  button.type = "button";
  button.title = "Show only records with " + id;
  button.addEventListener("click", () => setFilter({ text: id }));
  return [button];
}

function durationCell(nanoseconds) {
  if (typeof nanoseconds !== "number") return cell("duration");
  const ms = nanoseconds / 1e6;
  const text = ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : ms >= 10 ? ms.toFixed(0) + " ms" : ms.toFixed(1) + " ms";
  return cell(ms >= 1000 ? "duration slow" : "duration", text);
}

function cell(className, ...content) {
  const made = element("td", className);
  made.append(...content.filter((part) => part !== undefined && part !== null && part !== ""));
  return made;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = String(text);
  return made;
}

/* --- controls --- */

function setFilter(change) {
  Object.assign(state, change);
  if (byId("query").value !== state.text) byId("query").value = state.text;
  for (const button of document.querySelectorAll("[data-level]")) {
    button.setAttribute("aria-pressed", String(button.dataset.level === state.level));
  }
  const address = new URLSearchParams();
  if (state.text) address.set("q", state.text);
  if (state.level) address.set("level", state.level);
  history.replaceState(null, "", address.size ? "?" + address : location.pathname);
  window.scrollTo(0, 0);
  showFirstPage().then(() => showConnection(true), () => showConnection(false));
}

let typing;
byId("query").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => setFilter({ text: event.target.value.trim() }), 200);
});
byId("clear").addEventListener("click", () => setFilter({ text: "" }));
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("stream").addEventListener("change", (event) => setFilter({ stream: event.target.value }));
byId("older").addEventListener("click", showOlder);
byId("fresh").addEventListener("click", () => { window.scrollTo(0, 0); showWaiting(); });
byId("live").addEventListener("click", () => { state.live = !state.live; showConnection(true); });
for (const button of document.querySelectorAll("[data-level]")) {
  button.addEventListener("click", () => setFilter({ level: button.dataset.level }));
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") setFilter({ text: "", level: "" });
  if (event.key !== "/" || event.target === byId("query")) return;
  event.preventDefault();
  byId("query").focus();
});

const asked = new URLSearchParams(location.search);
setFilter({ text: asked.get("q") ?? "", level: asked.get("level") ?? "" });
setTimeout(keepPolling, pollMs);
`;
