/* What makes the dashboard nicer where there is a script, beside page.js. Nothing needs it. */
(() => {
  "use strict";

  const TOAST_MS = 8000; // long enough to be read twice
  const root = document.documentElement;
  const { announce, localize, releaseAll, remember } = wallgent;

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
    if (await wallgent.copy(button)) announce("Copied");
    else toast("Copying did not work. Select the text and copy it.", "error");
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
      "[data-copy], [data-dismiss], [data-dialog], [data-close], [data-print], [data-theme-form] button",
    );
    for (const open of document.querySelectorAll("details.drop[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
    if (event.target.matches?.("dialog.dialog")) return closeFromBackdrop(event);
    if (!target) return;
    if (target.matches("[data-copy]")) copy(target);
    else if (target.matches("[data-dismiss]")) target.closest("[data-toast]")?.remove();
    else if (target.matches("[data-print]")) print();
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

  // htmx
  document.addEventListener("htmx:beforeSwap", releaseAll);
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
