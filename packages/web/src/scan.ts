/** QR codes out of pictures and of what a camera sees. The decoder is loaded when it is first needed. */

/** The decoder cannot be loaded: that of the version which the page is of may be nowhere any more. */
export class Lost extends Error {}

/** The text of the code in what the camera shows now; `undefined`: there is none, or nothing is shown yet. Throws `Lost`. */
export async function codeIn(video: HTMLVideoElement): Promise<string | undefined> {
  if (video.videoWidth === 0) return undefined;
  return decode(video, video.videoWidth, video.videoHeight, VIDEO_SIDE);
}

/** The text of the code in a picture, whatever its size; `undefined`: there is none. Throws when it is no picture, and `Lost`. */
export async function codeInPicture(file: Blob): Promise<string | undefined> {
  const picture = await createImageBitmap(file);
  try {
    // What is blurred when large is often sharp enough when small, and the reverse.
    for (const side of PICTURE_SIDES) {
      const text = await decode(picture, picture.width, picture.height, side);
      if (text !== undefined) return text;
    }
    return undefined;
  } finally {
    picture.close();
  }
}

async function decode(
  source: CanvasImageSource,
  width: number,
  height: number,
  side: number,
): Promise<string | undefined> {
  const decodeQR = await import("qr/decode.js").then(
    ({ decodeQR }) => decodeQR, // named here, or all of it is loaded
    () => {
      throw new Lost();
    },
  );
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) return undefined;
  context.fillStyle = "#fff"; // below what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  try {
    return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
  } catch {
    return undefined; // it throws when it finds none
  }
}

const VIDEO_SIDE = 800;
const PICTURE_SIDES = [1000, 2000, 500];
