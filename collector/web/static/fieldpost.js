// Comfort on top of pages that work without it: the reader's time zone, read-outs of
// charts by mouse and keyboard, live parts, copying, asking before what cannot be undone.
(() => {
  "use strict";
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const two = (n) => String(n).padStart(2, "0");
  const local = (root) => root.querySelectorAll("time[data-local]").forEach((t) => {
    const d = new Date(t.dateTime);
    t.textContent = `${d.getDate()} ${months[d.getMonth()]} ${d.getFullYear()}, ${two(d.getHours())}:${two(d.getMinutes())}`;
  });

  const charts = (root) => root.querySelectorAll("[data-chart]").forEach((chart) => {
    const out = chart.querySelector(".readout");
    const rest = out.textContent;
    let at = -1;
    const hits = () => [...chart.querySelectorAll("svg")].filter((s) => s.getClientRects().length)[0]?.querySelectorAll(".hit") || [];
    const show = (hit) => {
      chart.querySelectorAll(".hit.on").forEach((h) => h.classList.remove("on"));
      if (hit) hit.classList.add("on");
      out.textContent = hit ? hit.dataset.read : rest;
    };
    chart.addEventListener("pointermove", (e) => { if (e.target.dataset.read) show(e.target); });
    chart.addEventListener("pointerleave", () => { at = -1; show(null); });
    chart.addEventListener("blur", () => { at = -1; show(null); });
    chart.addEventListener("keydown", (e) => {
      const list = hits(), n = list.length;
      if (!n) return;
      const now = at < 0 ? n - 1 : at;
      const to = { ArrowLeft: at < 0 ? n - 1 : now - 1, ArrowRight: now + 1, Home: 0, End: n - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      at = Math.max(0, Math.min(n - 1, to));
      show(list[at]);
    });
  });

  // A live part is fetched again and replaced where it differs, unless somebody is in it.
  const live = () => document.querySelectorAll("[data-live]").forEach((part) => {
    const from = part.dataset.liveFrom || location.href;
    let was = "";
    setInterval(async () => {
      const here = document.getElementById(part.id);
      if (document.hidden || here.contains(document.activeElement) || here.querySelector("details[open], :hover .hit.on") || getSelection().toString()) return;
      try {
        const r = await fetch(from, { credentials: "same-origin" });
        if (!r.ok) return;
        const next = new DOMParser().parseFromString(await r.text(), "text/html").getElementById(part.id);
        if (!next) return;
        if (next.innerHTML === was) return;
        was = next.innerHTML;
        local(next);
        const at = [...here.querySelectorAll(".scroll")].map((e) => [e.scrollLeft, e.scrollTop]);
        here.replaceChildren(...next.childNodes);
        here.querySelectorAll(".scroll").forEach((e, i) => { if (at[i]) [e.scrollLeft, e.scrollTop] = at[i]; });
        charts(here);
      } catch { /* the collector is restarting: the next round tells */ }
    }, 1000 * part.dataset.live);
  });

  document.addEventListener("submit", (e) => {
    const ask = e.submitter?.dataset.confirm;
    if (ask && !confirm(ask)) e.preventDefault();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    const s = document.querySelector("[data-search]");
    if (s) { e.preventDefault(); s.focus(); s.select(); }
  });
  document.querySelectorAll("[data-copy]").forEach((pre) => {
    if (!navigator.clipboard) return;
    const b = document.createElement("button");
    b.textContent = "Copy";
    b.addEventListener("click", async () => { await navigator.clipboard.writeText(pre.textContent); b.textContent = "Copied"; });
    pre.after(b);
  });
  local(document);
  charts(document);
  live();
})();
