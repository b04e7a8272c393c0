import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { EmscriptenBuiltinFilesystem } from '@electric-sql/pglite/basefs';
import { testTemplate } from './template.ts';

/**
 * How an embedded database in memory begins as the template has it. Loading the archive costs 2 s of work, of which
 * most is to touch memory: 43 MB of files, copied four times, and 128 MB of buffers. Here the databases of a process
 * share the template's bytes, and each copies a file when it first writes to it.
 */
export async function engineOfTests(): Promise<PGliteOptions> {
  image ??= readImage();
  bundle ??= readFile(createRequire(import.meta.url).resolve('@electric-sql/pglite/pglite.data'));
  const { buffer } = await bundle;
  return {
    fs: new SharedFiles(await image),
    fsBundle: { arrayBuffer: async () => buffer } as Blob,
    startParams: [...PGlite.defaultStartParams, '-c', 'shared_buffers=16MB'],
  };
}

interface ImageFile {
  path: string;
  /** Null for a folder. */
  bytes: Uint8Array | null;
  /** How many of them there are before nothing but zeros: most of the write-ahead log is empty. */
  filled: number;
}

let image: Promise<ImageFile[]> | undefined;
let bundle: Promise<Buffer> | undefined;

/** What PGlite's archive holds: plain POSIX tar. */
async function readImage(): Promise<ImageFile[]> {
  const tar = await readFile(await testTemplate());
  const files: ImageFile[] = [];
  for (let at = 0; tar[at] !== 0 && at < tar.length; ) {
    const field = (from: number, length: number) =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*/s, '');
    const path = field(0, 100);
    const size = Number.parseInt(field(124, 12).trim(), 8) || 0;
    const isFolder = field(156, 1) === '5';
    const bytes = isFolder ? null : new Uint8Array(tar.buffer, tar.byteOffset + at + 512, size);
    let filled = size;
    while (bytes && filled > 0 && bytes[filled - 1] === 0) filled--;
    files.push({ path, bytes, filled });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** Of Emscripten's files in memory, what is needed here. */
interface FileNode {
  contents: Uint8Array;
  usedBytes: number;
  stream_ops: { write(stream: { node: FileNode }, ...args: unknown[]): number };
}

const folderOfData = '/pglite/data';

class SharedFiles extends EmscriptenBuiltinFilesystem {
  readonly #image: ImageFile[];

  constructor(files: ImageFile[]) {
    super();
    this.#image = files;
  }

  override async initialSyncFs(): Promise<void> {
    const files = this.pg!.Module.FS;
    files.mkdirTree(folderOfData);
    for (const { path, bytes, filled } of this.#image) {
      const at = folderOfData + path;
      if (!bytes) {
        if (!files.analyzePath(at).exists) files.mkdir(at);
        continue;
      }
      files.writeFile(at, bytes, { canOwn: true } as never);
      copyAtFirstWrite(files.lookupPath(at, {}).node as never, filled);
    }
  }

  override async closeFs(): Promise<void> {
    this.pg!.Module.FS.quit();
  }
}

function copyAtFirstWrite(node: FileNode, filled: number): void {
  const plain = node.stream_ops;
  let isShared = true;
  node.stream_ops = {
    ...plain,
    write(stream, ...args) {
      if (isShared) {
        const own = new Uint8Array(node.contents.length);
        own.set(node.contents.subarray(0, filled));
        node.contents = own;
        isShared = false;
      }
      return plain.write(stream, ...args);
    },
  };
}
