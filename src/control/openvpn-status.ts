/**
 * The file of the directive `status FILE [SECONDS]`, in the format of stock OpenVPN in point-to-point mode, which
 * monitoring scripts read. SIGUSR2 prints the same lines to the log.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { fileError } from '../errors.ts';
import { localTime, type Logger } from './log.ts';
import type { Traffic } from './status.ts';

/** The lines without line feeds. */
export function openvpnStatusLines(traffic: Traffic, now: Date): string[] {
  const { tunRead, tunWrite, udpRead, udpWrite, authReadBytes, compression } = traffic;
  const lines = [
    'OpenVPN STATISTICS',
    `Updated,${localTime(now)}`,
    `TUN/TAP read bytes,${tunRead.bytes}`,
    `TUN/TAP write bytes,${tunWrite.bytes}`,
    `TCP/UDP read bytes,${udpRead.bytes}`,
    `TCP/UDP write bytes,${udpWrite.bytes}`,
    `Auth read bytes,${authReadBytes}`,
  ];
  if (compression !== null) {
    lines.push(
      `pre-compress bytes,${compression.preCompress}`,
      `post-compress bytes,${compression.postCompress}`,
      `pre-decompress bytes,${compression.preDecompress}`,
      `post-decompress bytes,${compression.postDecompress}`,
    );
  }
  return [...lines, 'END'];
}

export interface StatusFile {
  /** Closes the file as it is: stock neither rewrites nor removes it at exit. */
  close(): void;
}

/**
 * Opens `path` (mode 0600, truncated) and rewrites it in place every `intervalSec` seconds; 0 writes it once.
 * Throws OperatorError when it cannot be opened. A failing write is logged once and tried again: a full disk
 * does not stop a tunnel.
 */
export function openStatusFile(
  path: string,
  intervalSec: number,
  traffic: () => Traffic,
  log: Logger,
): StatusFile {
  const fd = openTruncated(path);
  let failed = false;
  const rewrite = () => {
    try {
      const text = `${openvpnStatusLines(traffic(), new Date()).join('\n')}\n`;
      ftruncateSync(fd, writeSync(fd, text, 0));
      failed = false;
    } catch (error) {
      if (!failed)
        log.warn({ code: (error as NodeJS.ErrnoException).code }, `cannot write status file ${path}`);
      failed = true;
    }
  };
  rewrite();
  const timer = intervalSec > 0 ? setInterval(rewrite, intervalSec * 1000) : undefined;
  timer?.unref();
  return {
    close() {
      clearInterval(timer);
      closeSync(fd);
    },
  };
}

function openTruncated(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (cause) {
    throw fileError('status', path, cause);
  }
}
