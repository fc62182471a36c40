// Says at once that a file is too large, instead of sending it.
for (const input of document.querySelectorAll("input[data-most-bytes]")) {
  input.addEventListener("change", () => {
    const most = Number(input.dataset.mostBytes);
    const isTooLarge = [...input.files].some((file) => file.size > most);
    input.setCustomValidity(isTooLarge ? `This file is larger than ${most >> 20} MiB.` : "");
    input.reportValidity();
  });
}
