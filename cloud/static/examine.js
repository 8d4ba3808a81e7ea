// A chosen file becomes hexadecimal in the form, which works without script for typed bytes too.
const LEN_MAX = 768 * 1024;

export function takeExamine() {
  const form = document.querySelector("[data-examine]");
  if (!form) return;
  for (const label of form.querySelectorAll("[data-with-script]")) label.hidden = false;
  const file = form.querySelector("#examine-file");
  const bytes = form.querySelector("#examine-bytes");
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    const isTooLong = chosen.size > LEN_MAX;
    form.querySelector("#examine-too-long").hidden = !isTooLong;
    if (isTooLong) {
      // Half a file would be judged for the other half, and what was there is of another file.
      form.reset();
      return;
    }
    const content = new Uint8Array(await chosen.arrayBuffer());
    bytes.value = Array.from(content, (byte) => byte.toString(16).padStart(2, "0")).join("");
    form.querySelector("#examine-name").value = chosen.name;
    form.submit();
  });
}
