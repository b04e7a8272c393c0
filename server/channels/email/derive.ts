import { convert, type HtmlToTextOptions } from 'html-to-text';

const options: HtmlToTextOptions = {
  wordwrap: false,
  limits: { maxDepth: 200, maxBaseElements: 1, maxInputLength: 2 ** 21 },
  selectors: [
    { selector: 'a', options: { hideLinkHrefIfSameAsText: true, ignoreHref: false, noAnchorUrl: true } },
    ...['img', 'title', 'template', 'textarea', 'select'].map((selector) => ({ selector, format: 'skip' })),
    // Shouting is for the designer of the HTML, not for its reader as text.
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'table'].map((selector) => ({
      selector,
      options: { uppercase: false, uppercaseHeaderCells: false },
    })),
  ],
};

/**
 * A mail's words where only its HTML is known: paragraphs, lists and links as text, images left out.
 * Only for what `sanitiseHtml` made: it nests no deeper than a parser can bear.
 */
export function textOfHtml(html: string): string {
  return convert(html, options).trim();
}

/** What is left of HTML that no parser should be given: its text without the tags. */
export function wordsOfHtml(html: string): string {
  return html
    .replaceAll(/<[^<>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** Linear on any input: one class, no nested repetition. */
const link = /\bhttps?:\/\/[^\s<>"']+/g;
const closing = new Set('.,;:!?)]}');

/** HTML where only the text is given: escaped, addresses as links, an empty line as a paragraph. */
export function htmlOfText(text: string): string {
  return text
    .replaceAll(/\r\n?/g, '\n')
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => `<p>${linked(paragraph.replace(/^\n+|\n+$/g, '')).replaceAll('\n', '<br>\n')}</p>`)
    .join('\n');
}

function linked(text: string): string {
  let html = '';
  let from = 0;
  for (const match of text.matchAll(link)) {
    const url = withoutClosing(match[0]);
    if (!URL.canParse(url)) continue;
    html += `${escaped(text.slice(from, match.index))}<a href="${escaped(url)}">${escaped(url)}</a>`;
    from = match.index + url.length;
  }
  return html + escaped(text.slice(from));
}

/** Closing punctuation is the sentence's. A loop: `[…]+$` takes time with the square of a long run within the text. */
function withoutClosing(url: string): string {
  let end = url.length;
  while (end > 0 && closing.has(url[end - 1]!)) end--;
  return url.slice(0, end);
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
