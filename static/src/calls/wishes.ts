/** What is asked of a device; an empty id leaves the choice to the system. */

export function voiceWish(device: string): MediaTrackConstraints {
  return { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...(device ? { deviceId: { ideal: device } } : {}) }
}

export function cameraWish(device: string): MediaTrackConstraints {
  return { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, ...(device ? { deviceId: { ideal: device } } : {}) }
}
