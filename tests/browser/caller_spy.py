"""What a page is asked about its call. Put into it before anything else runs; changes nothing of what the page does."""

from __future__ import annotations

#: Notes every device that was opened and every connection that was made, and looks at what arrives.
SPY = r"""
window.opened = []
window.peers = []
window.sockets = []
{
    const note = (stream) => {
        window.opened.push(...stream.getTracks())
        return stream
    }
    const devices = navigator.mediaDevices
    for (const name of ['getUserMedia', 'getDisplayMedia']) {
        const ask = devices[name].bind(devices)
        devices[name] = async (wanted) => note(await ask(wanted))
    }
    const copy = MediaStreamTrack.prototype.clone
    MediaStreamTrack.prototype.clone = function () {
        const made = copy.call(this)
        window.opened.push(made)
        return made
    }
    const Peer = window.RTCPeerConnection
    window.RTCPeerConnection = class extends Peer {
        constructor(...how) {
            super(...how)
            window.peers.push(this)
        }
    }
    const Socket = window.WebSocket
    window.WebSocket = class extends Socket {
        constructor(...how) {
            super(...how)
            window.sockets.push(this)
        }
    }
}

window.spy = {
    /** Looks until it is so; otherwise says what it has seen last. `look` answers { ok, … }. */
    async until(look, seconds = 30) {
        const end = performance.now() + seconds * 1000
        for (;;) {
            const seen = await look()
            if (seen.ok) return seen
            if (performance.now() > end) throw new Error(JSON.stringify(seen))
            await new Promise((done) => setTimeout(done, 50))
        }
    },
    standing: () => window.peers.filter(({ connectionState }) => connectionState === 'connected'),
    async reports() {
        const all = await Promise.all(spy.standing().map(async (peer) => [...(await peer.getStats()).values()]))
        return all.flat()
    },
    video: (person, track) => document.querySelector(`.tile[data-person="${person}"][data-track="${track}"] video`),
    /** The colours at some points of a picture (0 … 1), as the camera sends it. */
    colours(video, points) {
        if (!video || video.readyState < 2) return []
        const canvas = (spy.canvas ??= document.createElement('canvas'))
        const [width, height] = [(canvas.width = 64), (canvas.height = 36)]
        const brush = canvas.getContext('2d', { willReadFrequently: true })
        brush.drawImage(video, 0, 0, width, height)
        const at = ([x, y]) => [...brush.getImageData(Math.floor(x * width), Math.floor(y * height), 1, 1).data]
        return points.map((point) => at(point).slice(0, 3))
    },
    /** What arrives of one person's picture. */
    async seen(person, track = 'camera', points = []) {
        const video = spy.video(person, track)
        const id = video?.srcObject?.getVideoTracks()[0]?.id
        const one = (await spy.reports()).find((each) => each.type === 'inbound-rtp' && each.trackIdentifier === id)
        return {
            frames: one?.framesDecoded ?? 0,
            width: video?.videoWidth ?? 0,
            freezes: one?.freezeCount ?? 0,
            lost: one?.packetsLost ?? 0,
            packets: one?.packetsReceived ?? 0,
            bytes: one?.bytesReceived ?? 0,
            asked: one?.nackCount ?? 0,
            codec: one?.codecId ?? '',
            colours: spy.colours(video, points),
        }
    },
    /** The loudest tone of each voice that is played: Hz and level (0 … 255). */
    ears: new Map(),
    tones() {
        const context = (spy.context ??= new AudioContext())
        return [...document.querySelectorAll('audio')].flatMap(({ srcObject }) => {
            const [track] = srcObject?.getAudioTracks?.() ?? []
            if (!track) return []
            let ear = spy.ears.get(track)
            if (!ear) {
                ear = context.createAnalyser()
                ear.fftSize = 4096
                ear.smoothingTimeConstant = 0
                context.createMediaStreamSource(srcObject).connect(ear)
                spy.ears.set(track, ear)
            }
            const levels = new Uint8Array(ear.frequencyBinCount), decibels = new Float32Array(ear.frequencyBinCount)
            ear.getByteFrequencyData(levels)
            // A loud tone and its neighbours are all at the end of the bytes: the loudest is found in decibels.
            ear.getFloatFrequencyData(decibels)
            // what is lower than every tone is a click, where a sound begins
            decibels.fill(-Infinity, 0, Math.ceil((300 * ear.fftSize) / context.sampleRate))
            const loudest = decibels.indexOf(Math.max(...decibels))
            return [{ hertz: (loudest * context.sampleRate) / ear.fftSize, level: levels[loudest] }]
        })
    },
}
"""

#: All these people's pictures go on, in their colours; `wanted`: [person, track, points, colours].
SEES = """async ([wanted, more, seconds]) => {
    const begin = new Map()
    const near = (one, other) => one.every((part, at) => Math.abs(part - other[at]) < 45)
    return spy.until(async () => {
        const found = []
        for (const [person, track, points, colours] of wanted) {
            const now = await spy.seen(person, track, points)
            if (now.frames === 0) begin.delete(person)
            else if (!begin.has(person) || now.frames < begin.get(person)) begin.set(person, now.frames)
            const grown = now.frames > 0 && now.frames >= begin.get(person) + more
            const right = now.colours.every((each, at) => near(each, colours[at]))
            found.push({ ...now, person, ok: grown && right && now.colours.length === colours.length })
        }
        return { ok: found.every((each) => each.ok), found }
    }, seconds)
}"""

#: Exactly these tones are heard, each in a voice of its own, and no tone of anybody else's for a moment. What is
#: nobody's has to last 150 ms of the 400 that people sound: a voice that comes too late is played by going on with
#: what there was, a little beside it.
HEARS = """async ([wanted, others, seconds]) => {
    const heard = new Set(), other = new Set(), since = new Map()
    const near = (hertz) => (one) => Math.abs(one - hertz) < 40
    return spy.until(() => {
        spy.tones().forEach(({ hertz, level }, voice) => {
            const tone = level < 120 ? null : wanted.find(near(hertz))
            if (tone) heard.add(tone)
            if (tone !== undefined) return since.delete(voice)
            const [first, from] = since.get(voice) ?? [0, 0]
            if (others.some(near(hertz))) other.add(Math.round(hertz))
            else if (!near(hertz)(first)) since.set(voice, [hertz, performance.now()])
            else if (performance.now() - from >= 150) other.add(Math.round(hertz))
        })
        return { ok: heard.size === wanted.length, heard: [...heard], other: [...other], now: spy.tones() }
    }, seconds)
}"""

#: None of these tones for longer than a round of the sounds lasts.
SILENT = """async ([tones, seconds]) => {
    let since = performance.now()
    return spy.until(() => {
        const now = spy.tones()
        const heard = ({ hertz, level }) => level > 120 && tones.some((one) => Math.abs(one - hertz) < 40)
        if (now.some(heard)) since = performance.now()
        return { ok: performance.now() - since > 1_500, now }
    }, seconds)
}"""
