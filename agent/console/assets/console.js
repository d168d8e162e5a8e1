"use strict";
// Two conveniences; every page works without them: times in the reader's zone, and pages that
// renew themselves while somebody looks at them.
(() => {
  const minute = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  const local = (root) => {
    for (const t of root.querySelectorAll("time[data-local]")) {
      const d = new Date(t.dateTime);
      if (!isNaN(d)) t.textContent = minute.format(d);
    }
  };
  const busy = (main) =>
    document.hidden || main.contains(document.activeElement) && /^(INPUT|SELECT|BUTTON)$/.test(document.activeElement.tagName) ||
    String(getSelection()) !== "";
  let tries = 0;
  const renew = async () => {
    const old = document.getElementById("main");
    if (busy(old)) return plan();
    try {
      const r = await fetch(location.href, { headers: { "Fieldpost-Refresh": "1" }, credentials: "same-origin" });
      if (r.status === 401) return location.reload();
      const next = new DOMParser().parseFromString(await r.text(), "text/html").getElementById("main");
      if (next && !busy(old)) {
        const open = [...old.querySelectorAll("details")].map((d) => d.open);
        const notices = [...old.querySelectorAll(":scope > .notice[role]")];
        old.replaceChildren(...next.childNodes);
        if (notices.length) old.querySelector("header.page").after(...notices);
        const now = old.querySelectorAll("details");
        if (now.length === open.length) now.forEach((d, i) => (d.open = open[i]));
        for (const k of ["live", "later"]) {
          if (next.dataset[k]) old.dataset[k] = next.dataset[k];
          else delete old.dataset[k];
        }
        local(old);
      }
    } catch {
      // the agent does not answer: what is shown stays, and the next try may reach it
    }
    plan();
  };
  const plan = () => {
    const { live, later } = document.getElementById("main").dataset;
    if (later && tries++ < 40) setTimeout(renew, 400);
    else if (live) setTimeout(renew, Number(live) * 1000);
  };
  local(document);
  if (document.getElementById("main")) plan();
})();
