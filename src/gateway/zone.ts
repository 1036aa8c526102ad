/** Zones of link-local addresses (RFC 4007 11): people write the interface's name, socket addresses hold its index. */
import { ExitCode, OperatorError } from '../errors.ts';
import { withNetlink } from '../ffi/netlink.ts';
import { linkByIndex, linkByName } from '../kernel/rtnetlink.ts';

/** Its name; the number itself when it is gone. */
export function interfaceName(index: number): string {
  return withNetlink((netlink) => linkByIndex(netlink, index)?.name) ?? String(index);
}

/** `fe80::1%eth0` as `fe80::1%2`; any other address as it is. Throws OperatorError when there is no such interface. */
export function withNumericZone(address: string, directive: 'remote' | 'local'): string {
  const [host, zone] = address.split('%');
  if (zone === undefined || /^\d+$/.test(zone)) return address;
  const index = withNetlink((netlink) => linkByName(netlink, zone)?.index);
  if (index !== undefined) return `${host}%${index}`;
  throw new OperatorError({
    code: 'ZONE_UNKNOWN',
    what: `there is no interface ${zone}, which ${address} names`,
    fix: `correct the \`${directive}\` line; \`ip link\` lists the interfaces`,
    directives: [directive],
    exitCode: ExitCode.Failure,
  });
}
