/** What to paste into the configuration of a NixOS server, whose services only a switch can change. */

const WHERE = "/root/stardust-invite";

/** The module's settings. Nothing of them is secret: the invite stands in a file outside the store. */
export const nixosSettings = (policy: string): string => `imports = [ /etc/nixos/stardust/majortom/nix/nixos.nix ];
services.stardust-spider = {
  enable = true;
  inviteFile = "${WHERE}";
  policy = "${policy === "managed" ? "managed" : "monitor"}";${
    policy === "managed" ? '\n  configuration = { path = "/home/admin/nixcfg"; user = "admin"; };' : ""
  }
};`;

/** A line for a shell of root. It asks for the invite, so that no history and no process list has it. */
export const inviteFileLine = `install -m 0600 /dev/stdin ${WHERE}`;
