// Before anything is drawn: the reader's choice of light or dark, if there is one. A script of its own, since modules come too late.
(() => {
  try {
    const chosen = localStorage.getItem("freshgate-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system's choice holds.
  }
})();
