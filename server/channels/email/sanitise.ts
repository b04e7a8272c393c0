import sanitizeHtml, { type Attributes, type IOptions, type Tag } from 'sanitize-html';

/**
 * Goes up whenever the rules below change. What was cleaned under older rules is cleaned once more when
 * it is shown.
 */
export const sanitiserVersion = 1;

/** Elements that a mail may show. None takes raw text, runs anything, or changes how others are parsed. */
export const allowedTags = [
  ...['a', 'abbr', 'address', 'article', 'aside', 'b', 'bdi', 'bdo', 'big', 'blockquote', 'br', 'caption'],
  ...['center', 'cite', 'code', 'col', 'colgroup', 'dd', 'del', 'details', 'dfn', 'div', 'dl', 'dt', 'em'],
  ...['figcaption', 'figure', 'font', 'footer', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'header', 'hr', 'i'],
  ...['img', 'ins', 'kbd', 'li', 'main', 'mark', 'ol', 'p', 'pre', 'q', 's', 'samp', 'section', 'small'],
  ...['span', 'strike', 'strong', 'sub', 'summary', 'sup', 'table', 'tbody', 'td', 'tfoot', 'th', 'thead'],
  ...['tr', 'tt', 'u', 'ul', 'wbr'],
];

/**
 * Attributes by element; `*` for all. No `id`, `name` or `class`: they would reach into the page that
 * shows the mail. No `src` beyond what {@link showImage} writes.
 */
export const allowedAttributes: Record<string, string[]> = {
  '*': ['align', 'dir', 'lang', 'style', 'title'],
  a: ['href', 'rel', 'target'],
  col: ['span', 'width'],
  colgroup: ['span', 'width'],
  font: ['color', 'size'],
  hr: ['size', 'width'],
  img: ['alt', 'data-remote-src', 'height', 'src', 'width'],
  li: ['value'],
  ol: ['start', 'type'],
  table: ['bgcolor', 'border', 'cellpadding', 'cellspacing', 'width'],
  td: ['bgcolor', 'colspan', 'height', 'rowspan', 'valign', 'width'],
  th: ['bgcolor', 'colspan', 'height', 'rowspan', 'scope', 'valign', 'width'],
  tr: ['bgcolor', 'height', 'valign'],
};

const number = String.raw`\d{1,4}(?:\.\d{1,4})?`;
const length = `(?:0|${number}(?:px|pt|em|rem|ex|ch|in|cm|mm|%))`;
const colour = String.raw`(?:#[0-9a-f]{3,8}|[a-z]{3,24}|rgba?\([\d\s.,%/]{5,40}\))`;
const rule = (value: string) => [new RegExp(`^(?:${value})$`, 'i')];
const lengths = rule(String.raw`(?:${length}|auto)(?:\s+(?:${length}|auto)){0,3}`);
const border = rule(
  String.raw`(?:${length}|thin|medium|thick|none|solid|dashed|dotted|double|${colour})(?:\s+(?:${length}|thin|medium|thick|none|solid|dashed|dotted|double|${colour})){0,2}`,
);

/**
 * Declarations that colour, space and align. Nothing that loads (`url()`), moves a box over the page
 * (`position`, negative margins) or reads it; a value must be all of its pattern.
 */
const allowedStyles: NonNullable<IOptions['allowedStyles']> = {
  '*': {
    color: rule(colour),
    background: rule(colour),
    'background-color': rule(colour),
    direction: rule('ltr|rtl'),
    'font-family': rule(String.raw`[\w\s,'"-]{1,200}`),
    'font-size': rule(`(?:${length}|(?:xx?-)?(?:small|large)|medium|smaller|larger)`),
    'font-style': rule('(?:normal|italic|oblique)'),
    'font-weight': rule('(?:normal|bold|bolder|lighter|[1-9]00)'),
    'letter-spacing': rule(length),
    'line-height': rule(`(?:normal|${number}|${length})`),
    'list-style-type': rule('[a-z-]{1,24}'),
    'text-align': rule('(?:left|right|center|justify|start|end)'),
    'text-decoration': rule('(?:none|underline|line-through|overline)'),
    'text-transform': rule('(?:none|uppercase|lowercase|capitalize)'),
    'vertical-align': rule('(?:baseline|top|middle|bottom|sub|super)'),
    'white-space': rule('(?:normal|nowrap|pre|pre-wrap|pre-line)'),
    display: rule('(?:block|inline|inline-block|none|table|table-row|table-cell)'),
    width: rule(`(?:auto|${length})`),
    'max-width': rule(`(?:none|${length})`),
    'min-width': rule(length),
    height: rule(`(?:auto|${length})`),
    margin: lengths,
    'margin-top': lengths,
    'margin-right': lengths,
    'margin-bottom': lengths,
    'margin-left': lengths,
    padding: lengths,
    'padding-top': lengths,
    'padding-right': lengths,
    'padding-bottom': lengths,
    'padding-left': lengths,
    border,
    'border-top': border,
    'border-right': border,
    'border-bottom': border,
    'border-left': border,
    'border-color': rule(colour),
    'border-radius': lengths,
    'border-collapse': rule('(?:collapse|separate)'),
    'border-spacing': lengths,
  },
};

/** Their content is not text for people, so it goes with them. */
const dropped = [
  ...['script', 'style', 'title', 'textarea', 'option', 'select', 'xmp', 'plaintext', 'noscript', 'noembed'],
  ...['noframes', 'iframe', 'frameset', 'object', 'embed', 'applet', 'template', 'svg', 'math'],
  ...['audio', 'video', 'canvas', 'map', 'datalist'],
];

const linkProtocols = new Set(['http:', 'https:', 'mailto:', 'tel:']);
/** A logo in the mail itself; what is larger belongs into an attachment. */
const longestDataImage = 100_000;
const dataImage = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const contentId = /^cid:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,250}$/;
const longestStyle = 2_000;
const longestUrl = 8_192;

/** Only an absolute URL is one: a relative one would lead into the page that shows the mail. */
function readUrl(value: string | undefined, protocols: ReadonlySet<string>): string | null {
  if (value === undefined || value.length > longestUrl) return null;
  // What is written out is what was checked: the parser drops the tabs and line breaks that hide a scheme.
  const url = URL.parse(value);
  return url && protocols.has(url.protocol) ? url.href : null;
}

function openLink(tagName: string, { href, ...attribs }: Attributes): Tag {
  const url = readUrl(href, linkProtocols);
  const kept = without(attribs, 'target', 'rel');
  if (url === null) return { tagName, attribs: kept };
  return { tagName, attribs: { href: url, target: '_blank', rel: 'noopener noreferrer', ...kept } };
}

const remoteProtocols = new Set(['http:', 'https:']);

/**
 * Images of the mail itself show; remote ones are kept as `data-remote-src` and load nothing, for loading
 * one tells its sender that, when and where the mail was read.
 */
function showImage(tagName: string, { src, ...attribs }: Attributes): Tag {
  const kept = without(attribs, 'data-remote-src');
  if (src !== undefined && (contentId.test(src) || (src.length <= longestDataImage && dataImage.test(src))))
    return { tagName, attribs: { src, ...kept } };
  const remote = readUrl(src ?? attribs['data-remote-src'], remoteProtocols);
  return { tagName, attribs: remote === null ? kept : { 'data-remote-src': remote, ...kept } };
}

function without(attribs: Attributes, ...names: string[]): Attributes {
  return Object.fromEntries(Object.entries(attribs).filter(([name]) => !names.includes(name)));
}

const options: IOptions = {
  allowedTags,
  allowedAttributes,
  allowedStyles,
  nonTextTags: dropped,
  disallowedTagsMode: 'discard',
  // Our own reading of URLs is stricter; this is the second lock. `data:` is for images alone.
  allowedSchemes: ['http', 'https', 'mailto', 'tel'],
  allowedSchemesByTag: { img: ['cid', 'data'] },
  allowProtocolRelative: false,
  // Mails nest tables, but not without end; browsers themselves stop at some hundreds.
  nestingLimit: 200,
  transformTags: {
    a: openLink,
    img: showImage,
  },
};

/** Elements within elements. Real mails have some dozens; parsers take quadratic time for 100,000. */
export const deepestNesting = 500;
/**
 * Elements, elements and attributes, and `<` in all. Newsletters have some thousands; cleaning takes 5 to 15 µs for
 * each, in which nothing else of the process runs, and a stranger's mail could hold 300,000.
 */
export const mostElements = 20_000;
const mostPieces = 60_000;
const mostOpening = 100_000;
/** Characters of styles; those of further elements are left out. Reading them takes as long as all else together. */
const mostStyle = 300_000;

/** HTML that is only made to keep a parser busy. */
export class TooMuchHtml extends Error {}

/**
 * A mail's HTML as it may stand in a page: no script, form, frame, foreign markup or page-wide style,
 * links that open outside, remote images off. Cleaning what is clean changes nothing.
 *
 * @throws TooMuchHtml as soon as it nests beyond {@link deepestNesting} or has more than {@link mostElements}, so that
 *   nothing waits for its end
 */
export function sanitiseHtml(html: string): string {
  if (hasMore(html, '<', mostOpening)) throw new TooMuchHtml('has too many elements');
  let depth = 0;
  let elements = 0;
  let pieces = 0;
  let style = 0;
  return sanitizeHtml(html, {
    ...options,
    transformTags: {
      ...options.transformTags,
      '*': (tagName, attribs) => {
        const length = attribs.style?.length ?? 0;
        style += length;
        return {
          tagName,
          attribs: length > longestStyle || style > mostStyle ? without(attribs, 'style') : attribs,
        };
      },
    },
    onOpenTag: (_name, attribs) => {
      depth += 1;
      elements += 1;
      pieces += 1 + Object.keys(attribs).length;
      if (depth > deepestNesting) throw new TooMuchHtml(`nests deeper than ${deepestNesting} elements`);
      if (elements > mostElements || pieces > mostPieces) throw new TooMuchHtml('has too many elements');
    },
    onCloseTag: () => {
      depth -= 1;
    },
  });
}

function hasMore(text: string, what: string, most: number): boolean {
  let count = 0;
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + 1)) {
    count += 1;
    if (count > most) return true;
  }
  return false;
}
