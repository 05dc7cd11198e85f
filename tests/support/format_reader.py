# SPDX-License-Identifier: MIT
"""A second decoder, written from docs/format.md alone: slow, plain, without the C library."""

import math
import struct

from format_numbers import WORD, Reader, crc32c, exp, signed, unzigzag

PIXEL = {0: ("B", 0, 2**8 - 1), 1: ("H", 0, 2**16 - 1), 2: ("I", 0, 2**32 - 1),
         3: ("h", -(2**15), 2**15 - 1), 4: ("i", -(2**31), 2**31 - 1)}  # fmt: skip
AZIMUTHAL = 1


class Chunk:
    def __init__(self, data):
        magic, version, size, crc = struct.unpack("<4sIQI", data[:20])
        assert magic == bytes.fromhex("89425247")
        assert version == 0
        assert size == len(data)
        assert crc == crc32c(data[20:])
        r = Reader(data)
        r.take(20)
        self.words = r.numbers("7I")
        self.read_parameters()
        self.distance, _, npanels = r.numbers("ffI")
        self.panels = [r.numbers("4H9f") for _ in range(npanels)]
        (self.nbins,) = r.numbers("I")
        self.map_pixels()
        self.frames = [self.frame(r) for _ in range(self.words[6] >> 16)]
        assert r.done()

    def read_parameters(self):
        w = self.words
        assert w[0] >> 24 == 0xB5
        self.model = w[0] & 3
        self.snr_pick = (w[1] & 0xFFFF) / 512
        self.polarization = signed(w[3] & 0xFFFF, 16) / 32767
        self.ny, self.nx = w[5] & 0xFFFF, w[5] >> 16
        self.letter, self.smallest, self.largest = PIXEL[w[6] & 0xFF]
        if w[0] >> 4 & 1:
            negative = self.smallest < 0
            self.codes = [-1, -2, self.smallest] if negative else [self.largest, self.largest - 1]
            return
        self.codes = []
        for c in (signed(w[3] >> 16 & 0xFF, 8), signed(w[3] >> 24, 8)):
            if c:
                low = self.smallest if c == -128 else c
                self.codes.append(self.largest + 1 - c if c > 0 else low)

    def positions(self):
        for s0, s1, f0, f1, *v in self.panels:
            o, s, f = v[0:3], v[3:6], v[6:9]
            n = [s[1] * f[2] - s[2] * f[1], s[2] * f[0] - s[0] * f[2], s[0] * f[1] - s[1] * f[0]]
            plane = abs(n[0] * o[0] + n[1] * o[1] + n[2] * o[2])
            plane /= math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
            for i in range(s1 - s0):
                for j in range(f1 - f0):
                    p = [(o[k] + (i + 0.5) * s[k]) + (j + 0.5) * f[k] for k in range(3)]
                    yield (s0 + i) * self.nx + f0 + j, p, plane

    @staticmethod
    def radial(p):
        x, y, z = p
        t = x * x + y * y
        r = math.sqrt(t + z * z)
        if r == 0:
            return 0.0
        return math.sqrt(2.0 * (t / (r * (r + z)))) if z > 0 else math.sqrt(2.0 * (1.0 - z / r))

    def normalisation_class(self, p, plane):
        x2, y2, z2 = (c * c for c in p)
        r2 = x2 + y2 + z2
        g, d = 1.0, self.distance
        if self.words[0] >> 3 & 1:
            g = 0.5 * (1.0 + (z2 - self.polarization * (x2 - y2)) / r2)
        if self.words[0] >> 2 & 1:
            g = g * (plane * (d * d) / (r2 * math.sqrt(r2)))
        k = -127
        while k < 127 and g >= exp((k + 0.5) / 32):
            k += 1
        return k

    def map_pixels(self):
        radial = [(i, self.radial(p), p, plane) for i, p, plane in self.positions()]
        c0, c1 = min(c for _, c, _, _ in radial), max(c for _, c, _, _ in radial)
        wanted = self.words[2] & 0xFFFF
        f = self.panels[0][10:13]
        h = math.sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2])
        auto = min(max(math.ceil((c1 - c0) * self.distance / (2.0 * h)), 1), 1024)
        assert self.nbins == (wanted or auto)
        width = (c1 - c0) / self.nbins if c1 > c0 else 1.0
        self.cell = {}
        for i, c, p, plane in radial:
            ring = min(math.floor((c - c0) * (1.0 / width)), self.nbins - 1)
            self.cell[i] = (ring, self.normalisation_class(p, plane))

    def frame(self, r):
        mode, nbytes = r.numbers("BI")
        body = Reader(r.take(nbytes))
        if mode == 0:
            return list(body.numbers(f"{self.ny * self.nx}{self.letter}"))
        self.flags, seed, npicked, nkept, nmasked = body.numbers("BQIII")
        self.read_profile(body.stream())
        mask = self.read_mask(body.stream())
        assert nmasked == sum(number > 0 for number in mask)
        picked = self.read_picked(body.stream(), body.stream(), npicked)
        edge = self.words[2] >> 16 & 0xFF
        if edge:
            blocks = list(self.blocks(edge))
            kept = self.read_kept(blocks, mask, body.stream(), [body.stream() for _ in range(4)])
            assert nkept == len(kept)
            picked |= kept
            sums = [body.stream() for _ in range(3)]
        assert body.done()
        pixels = []
        for i, number in enumerate(mask):
            if number:
                pixels.append(self.codes[number - 1])
            elif i in picked:
                pixels.append(picked[i])
            else:
                pixels.append(self.draw(i, seed))
        if edge:
            drawn = [[i for i in b if not mask[i] and i not in picked] for b in blocks]
            self.apply_sums(pixels, drawn, -(-self.nx // edge), sums, seed)
        return pixels

    def blocks(self, edge):
        """Pixel indices of every block."""
        for top in range(0, self.ny, edge):
            for left in range(0, self.nx, edge):
                rows = range(top, min(top + edge, self.ny))
                columns = range(left, min(left + edge, self.nx))
                yield [row * self.nx + column for row in rows for column in columns]

    def read_kept(self, blocks, mask, numbers, values):
        kept, at = set(), -1
        while not numbers.done():
            at += 1 + numbers.varint()
            kept |= set(blocks[at])
        found = {}
        for i in sorted(kept):
            if i in self.cell and not mask[i]:
                e, _ = self.expected_and_sigma(self.cell[i])
                stream = values[sum(e >= limit for limit in (0.35, 1.2, 4.0))]
                found[i] = math.floor(e + 0.5) + unzigzag(stream.varint())
        assert all(stream.done() for stream in values)
        return found

    def apply_sums(self, pixels, drawn, nfast, sums, seed):
        history = {}
        for number, block in enumerate(drawn):
            tables = [self.tables[self.cell[i]] for i in block]
            expected = variance = 0.0
            for table in tables:
                expected += table[4]
                variance += table[5]
            capacity = sum(table[0] - table[1] for table in tables)
            if capacity == 0:
                continue
            before = [] if number % nfast == 0 else [number - 1]
            first = number - nfast - (number % nfast > 0)
            before += range(first, number - nfast + 1 + (number % nfast + 1 < nfast))
            restored = predicted = 0.5 * expected
            for k in before:
                restored += history.get(k, (0.0, 0.0))[0]
                predicted += history.get(k, (0.0, 0.0))[1]
            ratio = restored / predicted if predicted > 0 else 1.0
            step = min(max(math.floor(math.sqrt(variance * ratio)), 1), 10**9)
            dither = self.hash(seed ^ 0x5DEECE66D, number) * step >> 32
            stream = sums[sum(variance * ratio >= limit for limit in (0.5, 2.0))]
            guess = math.floor(min(expected * ratio, capacity) + 0.5)
            start = ((guess + dither) // step + unzigzag(stream.varint())) * step - dither
            bits = self.bits(self.hash(seed ^ 0x2545F491, number) | 1)
            low, high = max(start, 0), min(start + step - 1, capacity)
            wanted = low + (high - low + (next(bits) >> 31)) // 2
            history[number] = (float(wanted), expected)
            self.reach_sum(pixels, block, wanted, bits)
        assert all(stream.done() for stream in sums)

    @staticmethod
    def bits(x):
        while True:
            x ^= x << 13 & WORD - 1
            x ^= x >> 17
            x ^= x << 5 & WORD - 1
            yield x

    def reach_sum(self, pixels, block, wanted, bits):
        low = {i: self.tables[self.cell[i]][1] for i in block}

        def change(i, by):
            value = pixels[i] + by
            if not low[i] <= value <= self.tables[self.cell[i]][0] or value in self.codes:
                return 0
            pixels[i] = value
            return by

        found = sum(pixels[i] - low[i] for i in block)
        if any(self.cell[i][0] in self.normal for i in block):
            for _ in range(4):
                missing = abs(wanted - found) // len(block)
                each = missing if wanted > found else -missing
                for i in block:
                    least = low[i] - pixels[i]
                    most = self.tables[self.cell[i]][0] - pixels[i]
                    found += change(i, min(max(each, least), most))
        for _ in range(64 * min(abs(wanted - found), 4096)):
            if found == wanted:
                break
            if found < wanted:
                found += change(block[next(bits) * len(block) >> 32], 1)
                continue
            count = next(bits) * found >> 32
            for i in block:
                count -= pixels[i] - low[i]
                if count < 0:
                    found += change(i, -1)
                    break

    def read_profile(self, s):
        mean = s.numbers(f"{self.nbins}f")
        if self.model == AZIMUTHAL:
            std = s.numbers(f"{self.nbins}f")
        else:
            rounded = [struct.pack("<f", math.sqrt(max(m, 0))) for m in mean]
            std = [struct.unpack("<f", x)[0] for x in rounded]
        a = [unzigzag(s.varint()) / 1024 for _ in range(self.nbins)]
        b = [unzigzag(s.varint()) / 1024 for _ in range(self.nbins)]
        assert s.done()
        self.profile = list(zip(mean, std, a, b, strict=True))
        thresholds = {cell: self.threshold(cell) for cell in set(self.cell.values())}
        normal = {ring for (ring, _), t in thresholds.items() if t >= 256}
        if not self.flags & 1:
            normal = set(range(self.nbins))
        self.normal = normal
        self.tables = {c: self.table(c, t, c[0] in normal) for c, t in thresholds.items()}

    def expected_and_sigma(self, cell):
        ring, k = cell
        mean, std, _, _ = self.profile[ring]
        g = exp(k / 32)
        e = mean * g
        if self.model == AZIMUTHAL:
            return e, std * g
        return e, math.sqrt(e) if e > 0 else 0.0

    def threshold(self, cell):
        e, sigma = self.expected_and_sigma(cell)
        smallest = 0 if self.flags & 1 else self.smallest
        t = min(max(math.floor(e + self.snr_pick * sigma), smallest), self.largest)
        while t in self.codes:
            t -= 1
        return t

    def steps(self, t, e, sigma, normal):
        """Lowest value, step and number of steps of a range."""
        if not normal:
            low = min(max(math.floor(e - 8.0 * sigma), 0), t)
            return low, 1, t - low + 1
        smallest = 0 if self.flags & 1 else self.smallest
        span = math.ceil((self.snr_pick + 8.0) * sigma) + 1.0
        h = 1
        while span > 256 * h:
            h *= 2
        n = min(math.ceil(span / h), (t - smallest + 1) // h)
        return (t, 1, 1) if n < 1 else (t - n * h + 1, h, n)

    def table(self, cell, t, normal):
        mean, std, a, b = self.profile[cell[0]]
        e, sigma = self.expected_and_sigma(cell)
        low, h, n = self.steps(t, e, sigma, normal)
        values = [low + j * h + 0.5 * (h - 1) for j in range(n)]
        scale = std if std > 0.5 else 0.5
        if not normal and mean > scale * scale:
            scale = math.sqrt(mean)
        q = b / (scale * scale)
        linear = a / scale - 2.0 * q * mean
        if normal:
            v = sigma * sigma if sigma > 0.25 else 0.0625
            linear += e / v
            q -= 0.5 / v
        start = min(max(int((e - low) / h), 0), n - 1)
        weight = [0.0] * n
        weight[start] = 1.0
        for way, last in ((1, n - 1), (-1, 0)):
            d = way * h
            ratio = exp(d * (linear + q * (2.0 * values[start] + d)))
            growth = exp(2.0 * q * d * d)
            for j in range(start, last, way):
                factor = ratio
                if not normal and way > 0:
                    factor = ratio * (e / (values[j] + 1.0))
                elif not normal:
                    factor = ratio * (values[j] / e if e > 0 else 0.0)
                weight[j + way] = weight[j] * factor
                ratio *= growth
        if h == 1:
            weight = [0.0 if low + j in self.codes else w for j, w in enumerate(weight)]
        return t, low, h, self.cumulative(weight), *self.moments(weight, low, values)

    @staticmethod
    def moments(weight, low, values):
        total = first = second = 0.0
        for w, n in zip(weight, values, strict=True):
            total += w
            first += w * (n - low)
            second += w * (n - low) * (n - low)
        mean = first / total
        return mean, max(second / total - mean * mean, 0.0)

    @staticmethod
    def cumulative(weight):
        total = 0.0
        for w in weight:
            total += w
        below, limits = 0.0, []
        for w in weight[:-1]:
            below += w
            limits.append(math.floor(below / total * 65536 + 0.5))
        return limits

    def read_mask(self, s):
        changes, at = {}, 0
        while not s.done():
            at += s.varint()
            coded = s.varint()
            for i in range(at, at + coded // 4):
                changes[i] = coded % 4
            at += coded // 4
        mask = []
        for i in range(self.ny * self.nx):
            above = mask[i - self.nx] if i >= self.nx else 0
            mask.append(changes.get(i, above))
        return mask

    def read_picked(self, gaps, excesses, n):
        picked, at = {}, -1
        for _ in range(n):
            at += 1 + gaps.varint()
            x = excesses.varint()
            x = unzigzag(x) if self.flags & 2 else x
            picked[at] = x + (self.tables[self.cell[at]][0] + 1 if at in self.cell else 0)
        assert gaps.done()
        assert excesses.done()
        return picked

    @staticmethod
    def hash(seed, x):
        x ^= seed % WORD
        x ^= x >> 16
        x = x * 0x7FEB352D % WORD
        x ^= x >> 15
        x = (x + (seed >> 32)) % WORD
        x = x * 0x846CA68B % WORD
        x ^= x >> 16
        x = x * 0x9E3779B1 % WORD
        return x ^ x >> 15

    def draw(self, i, seed):
        _, low, h, limits, _, _ = self.tables[self.cell[i]]
        pair = self.hash(seed, i // 2)
        r = pair >> 16 if i % 2 else pair & 0xFFFF
        value = low + h * sum(limit <= r for limit in limits)
        if h > 1:
            value += self.hash(2**64 - 1 - seed, i) * h >> 32
            while value in self.codes:
                value += 1
        return value


def decode(data):
    """Frames of a chunk, each a list of pixels in scan order."""
    return Chunk(data).frames
