/** Numbers of the mail format. Change them by measurement, together with protocol/mail.md. */

/** Bytes that a sealed message may have, exactly. 1023 stays under the 1024 that a cache protects. protocol/mail.md §2 */
export const SIZE_CLASSES: readonly number[] = [1023, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/** Smallest class of a `hello` and of an acknowledgement. protocol/mail.md §2 */
export const SECOND_CLASS = 2048;

/** Content bytes of each part of a file but the last: beside the largest heads they fit the 32768 class. */
export const PART_CONTENT: number = 28 * 1024;

/** How long a mail is offered, unless its sender says otherwise. DESIGN 5, constants */
export const EXPIRY_MS: number = 14 * 86_400_000;

/** UTF-8 bytes of a text. A text is always one part, so it is shown whole or not at all; what is longer is a file. */
export const TEXT_LIMIT: number = 28 * 1024;

/** Parts of one mail. */
export const PARTS_LIMIT = 65_535;

/** Highest `seq` and `floor`. */
export const SEQ_LIMIT: number = 2 ** 48;

/** Bytes of the card in a `hello`: with it, the key part and one full part still fit the last class. */
export const HELLO_CARD_LIMIT: number = 32 * 1024;

/** Bytes of an invite's secret. */
export const SECRET_BYTES = 16;

/** Ids of mails that the writer had seen, in one envelope. */
export const AFTER_LIMIT = 8;

/** Ranges of numbers, and of parts of one mail, that a recipient keeps and acknowledges. */
export const RANGES_LIMIT = 512;

/** Epochs of one peer that a recipient keeps open. */
export const EPOCHS_LIMIT = 8;

/** Epochs of one peer that a recipient remembers as closed: nothing of them is new again. */
export const CLOSED_LIMIT = 64;

/** Unfinished mails of one epoch that a recipient keeps. */
export const UNFINISHED_LIMIT = 32;

/** Epochs in one acknowledgement. */
export const ACK_EPOCHS = 4;

/** Unfinished mails per epoch in one acknowledgement. */
export const ACK_UNFINISHED = 4;

/** Bytes of the bitmap of an unfinished mail: 1024 parts past the first missing one. */
export const BITMAP_BYTES = 128;

/** The most content of one mail, in bytes: 37,450 parts. */
export const CONTENT_LIMIT: number = 1024 * 1024 * 1024;
