// Before the first paint, and a file of its own because the page's policy refuses inline scripts: the chosen theme.
try {
  const theme = localStorage.getItem("dtq.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
