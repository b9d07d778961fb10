// What smooths the pages. Everything works without it.
"use strict";
(() => {
  const dialog = () => document.getElementById("dialog");

  // Times in the reader's own zone; the page's own text stays as the title.
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = time.textContent;
        time.textContent = format.format(at);
      }
    }
  };

  // Questions are pages; here they open in a dialog over the page that they are about.
  const ask = async (link) => {
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = answer.ok && page.getElementById("confirm");
    if (!question) {
      location.href = link.href;
      return;
    }
    const heading = question.querySelector("h1");
    const title = document.createElement("h2");
    title.append(...heading.childNodes);
    title.id = "question";
    heading.replaceWith(title);
    dialog().setAttribute("aria-labelledby", "question");
    dialog().replaceChildren(document.adoptNode(question));
    dialog().showModal();
  };

  document.addEventListener("click", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
    const link = event.target.closest("a[data-ask]");
    if (link && plain && dialog()?.showModal) {
      event.preventDefault();
      ask(link).catch(() => { location.href = link.href; });
    } else if (event.target.closest("#dialog a[data-close]") || event.target === dialog()) {
      event.preventDefault();
      dialog().close();
    }
    if (!event.target.closest("#menu")) document.getElementById("menu")?.remove();
  });

  // A form is sent once, however often its button is pressed. The server knows by its key, too.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    else if (!event.target.hasAttribute("data-again")) event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  // A row's own links as a menu on its right-click, and arrow keys from row to row.
  document.addEventListener("contextmenu", (event) => {
    const row = event.target.closest("table.rows tbody tr");
    document.getElementById("menu")?.remove();
    if (!row?.querySelector("a[data-menu]") || event.shiftKey) return;
    event.preventDefault();
    const menu = document.createElement("ul");
    menu.id = "menu";
    menu.setAttribute("aria-label", "What to do with it");
    for (const link of row.querySelectorAll("a[data-menu]")) {
      const item = link.cloneNode(false);
      item.removeAttribute("class");
      item.textContent = link.dataset.menu;
      const line = document.createElement("li");
      line.append(item);
      menu.append(line);
    }
    document.body.append(menu);
    menu.classList.add("open");
    const box = menu.getBoundingClientRect();
    const sheet = (x, y) => { menu.style.setProperty("left", `${x}px`); menu.style.setProperty("top", `${y}px`); };
    const at = row.getBoundingClientRect();
    const [x, y] = event.clientX || event.clientY ? [event.clientX, event.clientY] : [at.left + 24, at.bottom];
    sheet(Math.min(x, innerWidth - box.width - 8), Math.min(y, innerHeight - box.height - 8));
    menu.querySelector("a")?.focus();
  });
  document.addEventListener("keydown", (event) => {
    const menu = document.getElementById("menu");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (menu && event.key === "Escape") menu.remove();
    if (!step) return;
    const list = menu ? menu.querySelectorAll("a") : document.querySelectorAll("table.rows tbody th a");
    const links = [...list];
    const at = links.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    links[(at + step + links.length) % links.length].focus();
  });

  // Files dropped on a drop zone go where a chosen one would.
  const zone = (event) => event.target.closest?.(".drop");
  document.addEventListener("dragover", (event) => {
    if (zone(event)) { event.preventDefault(); zone(event).classList.add("over"); }
  });
  document.addEventListener("dragleave", (event) => zone(event)?.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    const into = zone(event)?.querySelector("input[type=file]");
    if (!into) return;
    event.preventDefault();
    zone(event).classList.remove("over");
    into.files = event.dataTransfer.files;
  });

  // A page that nobody looks at asks for nothing.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const polls = event.target.getAttribute("hx-trigger")?.startsWith("every");
    if (polls && document.hidden) event.preventDefault();
  });
  // Who is no longer signed in, or whose peer does not answer, is told so.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL || location.href).pathname === "/login") {
      event.detail.shouldSwap = false;
      location.assign("/login");
    }
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (event.target.id !== "status" || event.target.querySelector(".away")) return;
    const away = document.createElement("strong");
    away.className = "away bad";
    away.setAttribute("role", "status");
    away.textContent = "✕ the peer does not answer";
    event.target.replaceChildren(away);
  });
  document.addEventListener("htmx:afterSettle", (event) => localise(event.target.parentNode ?? document));
  document.addEventListener("DOMContentLoaded", () => localise(document));
  if (document.readyState !== "loading") localise(document);
})();
