// The site's own script: copies the page's address to be shared.
document.querySelectorAll("a[data-copy]").forEach(function (a) {
  a.addEventListener("click", function (e) {
    if (!navigator.clipboard) return;
    e.preventDefault();
    navigator.clipboard.writeText(location.href).then(function () { a.textContent = a.dataset.copy; });
  });
});
