/** The identities of a home, as one of them sees them. */
import { basename, dirname } from "node:path";
import type { Hashname } from "restante";
import { homeOfIdentity, identitiesOf } from "../home.ts";
import type { IdentityList } from "./contract.ts";

/** `home`: of the one that is asked, which has this hashname. */
export async function identityList(home: string, hashname: Hashname): Promise<IdentityList> {
  const above = dirname(dirname(home));
  const own = basename(home);
  const isOther = (await identitiesOf(above)).includes(own) && homeOfIdentity(above, own) === home;
  const names = await identitiesOf(isOther ? above : home);
  const all = [undefined, ...names].map((name) => {
    const isThis = isOther ? name === own : name === undefined;
    return { ...(name === undefined ? {} : { name }), isThis, ...(isThis ? { hashname } : {}) };
  });
  return { identities: all };
}
