/** Channels of applications. protocol/application.md */
export { Application, isApplicationType } from "./application.ts";
export type { ApplicationCall, ApplicationIn, ApplicationOut, Content, Opening } from "./contract.ts";
