/** The two sites of src/lab/path.ts and the path between them, for tests. */
import { buildPath, setPathMtu, type PathMtu, type PathOptions } from '../../src/lab/path.ts';
import { createNamespace, type NetworkNamespace } from '../../src/lab/namespaces.ts';
import { closeNamespaces } from '../../src/lab/network.ts';
import { createLab, Namespace, type Lab } from './netns.ts';

/** Of IPv6's least, a mobile network or tunnel, a large cloud, PPPoE, Ethernet, and jumbo frames. */
export const PATH_MTUS = [1280, 1400, 1460, 1492, 1500, 9000] as const;

export interface PathLab extends Lab {
  readonly hostA: Namespace;
  readonly gatewayA: Namespace;
  readonly routerA: Namespace;
  readonly routerB: Namespace;
  readonly gatewayB: Namespace;
  readonly hostB: Namespace;
  /** The same both ways, unless told. */
  setMtu(mtu: number | PathMtu): void;
}

export type PathLabOptions = Omit<PathOptions, keyof PathMtu> & { readonly mtu: number | PathMtu };

export function createPathLab({ mtu, ...options }: PathLabOptions): PathLab {
  const lab = createLab();
  const namespaces: NetworkNamespace[] = [];
  const path = buildPath({ ...options, ...bothWays(mtu) }, (name) => {
    const namespace = createNamespace(`${lab.prefix}-${name}`);
    namespaces.push(namespace);
    return namespace;
  });
  const named = ({ name }: NetworkNamespace) => new Namespace(name);
  return {
    ...lab,
    hostA: named(path.hosta),
    gatewayA: named(path.gatewaya),
    routerA: named(path.routera),
    routerB: named(path.routerb),
    gatewayB: named(path.gatewayb),
    hostB: named(path.hostb),
    setMtu: (to) => setPathMtu(path, bothWays(to)),
    destroy: async () => {
      closeNamespaces(namespaces);
      await lab.destroy();
    },
  };
}

function bothWays(mtu: number | PathMtu): PathMtu {
  return typeof mtu === 'number' ? { there: mtu, back: mtu } : mtu;
}
