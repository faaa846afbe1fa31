// Asks again whenever a field changes. Without this script the button does it.
const form = document.querySelector("form");
let asked;

async function ask() {
  asked?.abort();
  asked = new AbortController();
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch("/", { method: "POST", body, signal: asked.signal });
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    if (error.name != "AbortError") {
      document.getElementById("answer").textContent = "No answer: the server has ended.";
    }
  }
}

function show(page) {
  for (const id of ["answer", "terms"]) {
    document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
  }
  for (const fault of page.querySelectorAll(".fault")) {
    document.getElementById(fault.id).textContent = fault.textContent;
    const invalid = page.getElementById(fault.id.slice(0, -1)).hasAttribute("aria-invalid");
    const field = document.getElementById(fault.id.slice(0, -1));
    if (invalid) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}

form.addEventListener("input", ask);
form.addEventListener("submit", event => { event.preventDefault(); ask(); });
