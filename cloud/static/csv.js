// A chosen file becomes the text of the form, which works without script for pasted text too.
const LEN_MAX = 256 * 1024;

export function takeCsv() {
  const form = document.querySelector("[data-csv]");
  if (!form) return;
  for (const label of form.querySelectorAll("[data-with-script]")) label.hidden = false;
  const file = form.querySelector("input[type=file]");
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    const isTooLong = chosen.size > LEN_MAX;
    file.setCustomValidity(isTooLong ? "Too long for a list of instruments." : "");
    file.reportValidity();
    if (isTooLong) return;
    form.querySelector("textarea").value = await chosen.text();
    form.submit();
  });
}
