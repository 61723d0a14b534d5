/* What makes pages nicer where there is a script. Nothing needs it. Listeners sit on the document,
   so that what htmx swaps in works like what was there. */
(() => {
  "use strict";

  const YEAR_SECONDS = 365 * 24 * 3600;
  const TOAST_MS = 8000; // long enough to be read twice
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

  const clock = new Intl.DateTimeFormat("en-US", {
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
    const day = `${part.day} ${part.month} ${part.year}`;
    const isDate = time.dataset.when === "date";
    time.textContent = isDate ? day : `${day}, ${part.hour}:${part.minute}`;
    time.title = moment.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "long" });
    time.dataset.zone = zone;
  }

  // Toasts
  function dismissLater(toast) {
    if (toast.dataset.toast === "error" || toast.dataset.timed) return;
    toast.dataset.timed = "yes";
    let timer;
    const start = () => (timer = setTimeout(() => toast.remove(), TOAST_MS));
    const hold = () => clearTimeout(timer);
    toast.addEventListener("pointerenter", hold);
    toast.addEventListener("focusin", hold);
    toast.addEventListener("pointerleave", start);
    toast.addEventListener("focusout", start);
    start();
  }

  function toast(text, tone) {
    const toasts = document.getElementById("toasts");
    if (!toasts) return announce(text);
    for (const same of toasts.querySelectorAll("[data-toast]")) {
      if (same.querySelector("p")?.textContent === text) same.remove();
    }
    const box = document.createElement("div");
    box.className = `notice tone-${tone}`;
    box.dataset.toast = tone;
    if (tone === "error") box.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.className = "min-w-0 grow";
    words.textContent = text;
    const close = document.createElement("button");
    close.className = "toast-close";
    close.type = "button";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    box.append(words, close);
    toasts.append(box);
    dismissLater(box);
  }

  // Copying
  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      if (!copyByHand(button)) {
        toast("Copying did not work. Select the text and copy it.", "error");
        return;
      }
    }
    button.dataset.copied = "yes";
    announce("Copied");
    setTimeout(() => delete button.dataset.copied, 2000);
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

  // The theme
  function showTheme(form, chosen) {
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    remember("theme", chosen);
    for (const button of document.querySelectorAll("[data-theme-form] button")) {
      button.setAttribute("aria-pressed", String(button.value === chosen));
    }
  }

  // How much room is left in a text
  function count(text) {
    const counter = document.getElementById(text.dataset.counter);
    if (counter) counter.textContent = `${text.maxLength - text.value.length} characters left`;
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-counter]")) count(event.target);
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.(
      "[data-copy], [data-dismiss], [data-dialog], [data-close], [data-theme-form] button",
    );
    for (const open of document.querySelectorAll("details.drop[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
    if (event.target.matches?.("dialog.dialog")) return closeFromBackdrop(event);
    if (!target) return;
    if (target.matches("[data-copy]")) copy(target);
    else if (target.matches("[data-dismiss]")) target.closest("[data-toast]")?.remove();
    else if (target.matches("[data-close]")) target.closest("dialog")?.close();
    else if (target.matches("[data-dialog]")) openDialog(event, target);
    else {
      event.preventDefault();
      showTheme(target.form, target.value);
    }
  });

  function openDialog(event, link) {
    const dialog = document.getElementById(link.dataset.dialog);
    // Who wants the link in another tab gets the page that it leads to.
    if (!dialog?.showModal || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
    dialog.addEventListener("close", () => link.focus(), { once: true });
  }

  function closeFromBackdrop(event) {
    const box = event.target.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = event.target.closest?.("details.drop[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

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

  // Back shows a page as it was left, in the middle of sending.
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-busy]").forEach(release);
  });

  // htmx
  document.addEventListener("htmx:beforeSwap", () => {
    document.querySelectorAll("form[data-busy]").forEach(release);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401 || status === 403) toast("Reload the page and try again.", "error");
    else if (status === 429) toast("Too many tries. Wait a minute, then try again.", "error");
    else toast("That did not work. Try again in a moment.", "error");
  });
  document.addEventListener("htmx:sendError", () => {
    toast("The server cannot be reached. Check your connection and try again.", "error");
  });

  function prepare(part) {
    part.querySelectorAll("time[data-zone]").forEach(localize);
    part.querySelectorAll("[data-toast]").forEach(dismissLater);
    part.querySelectorAll("[data-counter]").forEach(count);
    const errors = part.querySelector("[data-errors]");
    if (errors && !errors.closest("form[method=get]")) errors.focus();
  }

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "rows") announce("The list is up to date.");
  });
  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
  prepare(document);
})();
