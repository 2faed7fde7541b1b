const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for element content and quoted attributes; control characters become U+FFFD. */
export function escapeHtml(text: string): string {
  let safe = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const control = (code < 32 && char !== '\n' && char !== '\t') || (code >= 127 && code < 160);
    safe += control ? '\ufffd' : (ENTITIES[char] ?? char);
  }
  return safe;
}

/** A table of plain texts; the first row is its heading. */
export function tableHtml(rows: readonly (readonly string[])[]): string {
  const [heading = [], ...body] = rows;
  const head = heading.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join('');
  const lines = body.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? `<th scope="row">${escapeHtml(cell)}</th>` : `<td>${escapeHtml(cell)}</td>`,
    );
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`;
}
