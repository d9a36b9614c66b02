// Rows of tables are sorted by a column, at a click on its head.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  table.querySelectorAll("thead th").forEach((header, column) => {
    const button = node("button", undefined, { type: "button", class: "sort" });
    button.append(header.firstChild); // what it means stays beside it
    header.prepend(button);
    button.addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("thead th").forEach((of) => of.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
      const rows = [...table.tBodies[0].rows];
      const compare = (a, b) => {
        const [first, other] = [value(a), value(b)];
        if (first === "" || other === "") return (first === "") - (other === "");
        const order = isNaN(first) || isNaN(other) ? first.localeCompare(other) : first - other;
        return down ? -order : order;
      };
      table.tBodies[0].append(...rows.sort(compare));
    });
  });
}
