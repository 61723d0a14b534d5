/* What every page of ours does where there is a script: the dashboard's app.js and the public
   page's hosted.js build on it. Nothing needs it. Listeners sit on the document, so that what htmx
   swaps in works like what was there. */
const wallgent = (() => {
  "use strict";

  const YEAR_SECONDS = 365 * 24 * 3600;
  const BUSY_MS = 30000; // then one may try again: the server does nothing twice
  const root = document.documentElement;

  function remember(name, value) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    const age = value ? YEAR_SECONDS : 0;
    document.cookie = `${name}=${value}; path=/; max-age=${age}; samesite=lax${secure}`;
  }

  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (!announcer) return;
    announcer.textContent = "";
    setTimeout(() => (announcer.textContent = text), 50); // a change is what is read out
  }

  // Times: the server renders them in the zone of this cookie; the first page comes in UTC.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const known = document.cookie.match(/(?:^|; )timezone=([^;]*)/);
  if (!known || known[1] !== zone) remember("timezone", zone);

  const language = root.lang === "es" ? "es" : "en-GB";
  const clock = new Intl.DateTimeFormat(language, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });

  function localize(time) {
    const moment = new Date(time.dateTime);
    if (time.dataset.zone === zone || Number.isNaN(moment.getTime())) return;
    const part = Object.fromEntries(clock.formatToParts(moment).map((p) => [p.type, p.value]));
    const month = part.month.replace(".", "").slice(0, 3); // Sep, as the server writes it
    const day = `${part.day} ${month} ${part.year}`;
    const isDate = time.dataset.when === "date";
    time.textContent = isDate ? day : `${day}, ${part.hour}:${part.minute}`;
    time.title = moment.toLocaleString(language, { dateStyle: "long", timeStyle: "long" });
    time.dataset.zone = zone;
  }

  /* Whether the button's text is in the clipboard now. */
  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      if (!copyByHand(button)) return false;
    }
    button.dataset.copied = "yes";
    setTimeout(() => delete button.dataset.copied, 2000);
    return true;
  }

  // Browsers keep the clipboard from pages without https, such as a server at home.
  function copyByHand(button) {
    const text = document.createElement("textarea");
    text.value = button.dataset.copy;
    text.className = "sr-only";
    text.setAttribute("aria-hidden", "true");
    button.after(text);
    text.select();
    const done = document.execCommand("copy");
    text.remove();
    button.focus();
    return done;
  }

  // One click, one submission. The server would do nothing twice; this says that it is at work.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.busy) return event.preventDefault();
    if (isTooLarge(form)) {
      event.preventDefault();
      location.assign(`${form.getAttribute("action")}?too-large=1`);
      return;
    }
    form.dataset.busy = "yes";
    const button = event.submitter;
    // After the browser has taken the button's own name and value into the request.
    setTimeout(() => {
      if (!button) return;
      button.dataset.busy = "yes";
      button.setAttribute("aria-disabled", "true");
    });
    setTimeout(() => release(form), BUSY_MS);
  });

  // A server hangs up on a file far beyond its limit, and the browser could show no page.
  function isTooLarge(form) {
    const chooser = form.querySelector("input[type=file][data-limit-bytes]");
    return chooser?.files[0]?.size > Number(chooser?.dataset.limitBytes);
  }

  function release(form) {
    delete form.dataset.busy;
    for (const button of form.querySelectorAll("[data-busy]")) {
      delete button.dataset.busy;
      button.removeAttribute("aria-disabled");
    }
  }

  function releaseAll() {
    document.querySelectorAll("form[data-busy]").forEach(release);
  }

  // Back shows a page as it was left, in the middle of sending.
  addEventListener("pageshow", (event) => {
    if (event.persisted) releaseAll();
  });

  return { announce, copy, localize, releaseAll, remember };
})();
