import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  readAttachments,
  readBase64,
  readContentType,
  safeFilename,
} from '../../../../server/channels/email/attachments.ts';
import { htmlOfText, textOfHtml } from '../../../../server/channels/email/derive.ts';
import { cleanHeader, contentDisposition } from '../../../../server/channels/email/headers.ts';
import { displayHtmlOf, receiveMail } from '../../../../server/channels/email/mail.ts';
import { explain } from '../../../../server/channels/reasons.ts';

describe("a file's name", () => {
  test.each([
    ['plan.pdf', 'plan.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\x\\plan.pdf', 'plan.pdf'],
    ['..\\..\\boot.ini', 'boot.ini'],
    ['.htaccess', 'htaccess'],
    ['\u200b.htaccess', 'htaccess'],
    ['\u200b\u2060.\ufeff.\u200d/.env', 'env'],
    ['photo\u202egnp.exe', 'photognp.exe'],
    ['con', '_con'],
    ['CON.txt', '_CON.txt'],
    ['c\u200bon', '_con'],
    ['com1.tar.gz', '_com1.tar.gz'],
    ['console.txt', 'console.txt'],
    ['a<b>:"|?*.txt', 'a_b______.txt'],
    ['name.   ', 'name'],
    ['...', 'attachment'],
    ['/', 'attachment'],
    ['\u3164', 'attachment'],
    ['Füße 計画.pdf', 'Füße 計画.pdf'],
  ])('%j is kept as %j', (given, kept) => {
    expect(safeFilename(given)).toBe(kept);
  });

  test('is 255 bytes at most, and keeps its ending and whole characters', () => {
    expect(safeFilename(`${'a'.repeat(300)}.pdf`)).toBe(`${'a'.repeat(251)}.pdf`);
    const long = safeFilename(`${'計'.repeat(200)}.pdf`);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(long).toMatch(/^計+\.pdf$/);
  });

  test('whatever it was, is safe, and safe once is safe again', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      ' ',
      '\u200b',
      '\u202e',
      'con',
      'nul',
      'COM1',
      ':',
      'a',
    );
    const name = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(name, (given) => {
        const kept = safeFilename(given);
        expect(kept).not.toBe('');
        expect(kept).not.toMatch(/[/\\<>:"|?*\p{C}\u2028\u2029]/u);
        expect(kept).not.toMatch(/^[.\s]|[.\s]$/);
        expect(kept).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(255);
        expect(safeFilename(kept)).toBe(kept);
        expect(contentDisposition(kept)).toMatch(
          /^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\w%.~!-]*$/,
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

test('base64 is taken only as RFC 4648 writes it', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString('base64');
      expect(readBase64(text)).toEqual(Buffer.from(bytes));
      if (text.includes('=')) expect(readBase64(text.replaceAll('=', ''))).toBeNull();
      expect(readBase64(`${text}\n`)).toBeNull();
      expect(readBase64(`${text}!`)).toBeNull();
    }),
  );
});

test('25 MB of files in all are taken, and a byte more is too large', () => {
  const half = Buffer.alloc(12.5 * 1024 * 1024, 7).toString('base64');
  const file = { filename: 'a', content_type: 'text/plain', content: half };
  const byte = { ...file, content: 'AA==' };
  expect(readAttachments([file, file])).toMatchObject({
    attachments: [{ size: 13_107_200 }, {}],
    faults: [],
  });
  expect(readAttachments([file, file, byte]).faults).toMatchObject([
    { path: 'attachments', code: 'too_large' },
  ]);
});

test('a media type is read with its parameters, and nothing else passes for one', () => {
  expect(readContentType('Text/Calendar; method=REQUEST; charset="utf-8"')).toBe(
    'text/calendar; method=REQUEST; charset="utf-8"',
  );
  for (const bad of [
    'a/b/c',
    'a b/c',
    'text/plain; x',
    'text/plain; x="\n"',
    'MULTIPART/mixed; boundary=a',
    'é/x',
  ])
    expect(readContentType(bad)).toBeNull();
});

describe('one from the other', () => {
  test('text becomes HTML that says the same text again', () => {
    const word = fc.constantFrom(
      'a',
      '<b>',
      '&amp;',
      '"',
      "it's",
      'https://x.example/?a=1&b=2',
      '</p>',
      '1 < 2',
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 10 }), (words) => {
        const text = words.join(' ');
        expect(textOfHtml(htmlOfText(text))).toBe(text);
      }),
    );
  });

  test.each([')', 'http://', 'http://x.', ' .', '\n', '\n ', '<', '&'])(
    'a megabyte of %j after a link is read to its end',
    (piece) => {
      htmlOfText(`http://x.example/${piece.repeat(Math.floor(1_000_000 / piece.length))}x`);
    },
  );

  test('paragraphs, lines and lists survive; scripts, styles and titles are no words', () => {
    expect(
      textOfHtml(
        '<title>T</title><style>p{}</style><p>One<br>two</p><ul><li>a<li>b</ul><script>x</script><img alt=no>',
      ),
    ).toBe('One\ntwo\n\n * a\n * b');
    expect(htmlOfText('a\r\nb\r\n\r\n\r\nc')).toBe('<p>a<br>\nb</p>\n<p>c</p>');
  });

  test('a link’s closing punctuation is the sentence’s', () => {
    expect(htmlOfText('(see https://x.example/a).')).toBe(
      '<p>(see <a href="https://x.example/a">https://x.example/a</a>).</p>',
    );
  });
});

test('a mail that comes in is never refused: its subject is one line, its HTML too deep is kept and not shown', () => {
  expect(cleanHeader('a\r\n b\u2028c\0')).toBe('a  b c');
  const deep = `${'<div>'.repeat(1_000)}Hello`;
  expect(receiveMail({ subject: null, text: '', html: deep })).toMatchObject({
    content: 'Hello',
    mail: { html: deep, displayHtml: null },
  });
});

test('what was cleaned by older rules is cleaned again before it is shown', () => {
  const display_html = '<p>x</p><script>y</script>';
  expect(displayHtmlOf({ display_html, display_version: 0 })).toBe('<p>x</p>');
  expect(displayHtmlOf({ display_html: null, display_version: null })).toBeNull();
});

describe("mail's enhanced status codes (RFC 3463) mean the same from every provider", () => {
  test.each([
    ['5.1.1', 'invalid_address', false, true],
    ['5.1.10', 'invalid_address', false, true],
    ['5.1.8', 'sender_config', false, false],
    ['5.2.1', 'invalid_address', false, true],
    ['5.2.2', 'unreachable', true, false],
    ['4.2.2', 'unreachable', true, false],
    ['4.4.7', 'unreachable', true, false],
    ['4.7.1', 'rate_limited', true, false],
    ['5.3.4', 'invalid_request', false, true],
    ['5.7.1', 'blocked', false, true],
    ['5.4.6', 'unknown', false, true],
    ['5.999.999', 'unknown', false, true],
  ])('%s is %s', (code, reason, retryable, final) => {
    for (const provider of ['simulator', 'smtp', 'sendgrid', 'ses'])
      expect(explain(provider, code)).toMatchObject({ reason, retryable, final });
  });

  test('what only looks like one is unknown', () => {
    for (const code of ['2.0.0', '5.1', '5.1.1.1', '6.1.1', '5.1.x', ' 5.1.1'])
      expect(explain('ses', code)).toMatchObject({ reason: 'unknown', final: false });
  });
});
