/**
 * Gives the FORWARD chain of legacy iptables policy DROP, as `iptables-legacy -P FORWARD DROP` does, which need not be
 * installed: `node legacy-policy.mjs 4|6`. Only in a namespace of a test's own.
 */
import { check, getsockopt, setsockopt, socket } from '../../dist/ffi/libc.js';
import { NativeArena } from '../../dist/ffi/memory.js';
import { int32 } from '../../dist/ffi/socket.js';

const NAME = new TextEncoder().encode('filter');
const [domain, level, targetOffset] = process.argv[2] === '6' ? [10, 41, 140] : [2, 0, 88];
const SOCK_DGRAM = 2;
/** GET_INFO and SET_REPLACE are one number. */
const INFO_OR_REPLACE = 64;
const GET_ENTRIES = 65;

const fd = check('socket', socket(domain, SOCK_DGRAM, 0));

const info = new Uint8Array(84);
info.set(NAME);
check('GET_INFO', getsockopt(fd, level, INFO_OR_REPLACE, info, int32(info.length)));
const infoView = new DataView(info.buffer);
const count = infoView.getUint32(76, true);
const size = infoView.getUint32(80, true);

const entries = new Uint8Array(40 + size);
entries.set(NAME);
new DataView(entries.buffer).setUint32(32, size, true);
check('GET_ENTRIES', getsockopt(fd, level, GET_ENTRIES, entries, int32(entries.length)));

// struct ipt_replace: name, hooks, number and size of the rules, offsets, where to put the counters; then the rules.
const counters = new NativeArena(16 * count);
const replace = new Uint8Array(96 + size);
const view = new DataView(replace.buffer);
replace.set(info.subarray(0, 36));
view.setUint32(36, count, true);
view.setUint32(40, size, true);
replace.set(info.subarray(36, 76), 44);
view.setUint32(84, count, true);
view.setBigUint64(88, BigInt(counters.address), true);
replace.set(entries.subarray(40), 96);
const policy = 96 + infoView.getUint32(64, true);
const NF_DROP = -1;
view.setInt32(policy + view.getUint16(policy + targetOffset, true) + 32, NF_DROP, true);
check('SET_REPLACE', setsockopt(fd, level, INFO_OR_REPLACE, replace, replace.length));
