const [kind, wanted] = arguments;
const kinds = { press: "a[href], button, summary", fill: "input:not([type=hidden]), select, textarea" };
const clean = (text) => text.replace(/\s+/g, " ").trim();
const called = (element) => clean(kind === "fill"
    ? [...(element.labels ?? [])].map((label) => label.textContent).join(" ")
    : element.textContent);
const open = document.querySelector("dialog[open]") ?? document;
const seen = (element) => element.checkVisibility() && !element.disabled;
const all = [...open.querySelectorAll(kinds[kind])].filter(seen);
return all.find((one) => called(one) === wanted) ?? all.find((one) => called(one).startsWith(wanted)) ?? null;
