/* SPDX-License-Identifier: MIT */
/*
 * Where counts are thrown, with AVX-512: docs/format.md, "Pattern noise" (Coarse blocks).
 *
 * A step of the state is linear in its 32 bits, and so are 16 steps at once: sixteen states in a
 * row are taken to the next sixteen by one 32 x 32 matrix of bits.  A vector holds their lowest
 * bytes, then the second ones and so on, sixteen each, so that an instruction which multiplies
 * bytes by 8 x 8 matrices does it in four.
 */
#include "draw_kernels.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "noise_hash.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,gfni")))

enum { NLANES = 16, NBYTES = 4, NBITS = 4, NO_PIXEL = 256 };

/*
 * The matrices of 1, 2, 4, 8 and 16 steps: [r][i] is what byte i + r (modulo 4) of a state gives to
 * byte i of the new one.  As the instruction wants them: from the highest byte down, what makes
 * bits 0 to 7.  Made by taking 32 states of one bit each through so many steps.
 */
static const uint64_t STEPS[5][NBYTES][NBYTES] = {
    {{0x11224488103162C4, 0x1123468C183162C4, 0x0103060C10214284, 0x0102040810214284},
     {0x0000000001020408, 0x1020408001020400, 0x1020408000000000, 0x4080000000000000},
     {0x0204081020428408, 0x0204081021428408, 0x0810214284081020, 0x0810214284081020},
     {0x0000000000000001, 0x8810204080010204, 0x8810204080010204, 0x0810204080010204}},
    {{0x113264C8902050A0, 0x9122458A142851A2, 0x1122458A10204180, 0x9122448810204182},
     {0x11224488113264C8, 0x091324408100000C, 0x183060C009122448, 0x2040810204081020},
     {0x2140800811010000, 0x204080000001028C, 0xC488102100000010, 0xC080000102040810},
     {0x2040800102244890, 0x408113264C881062, 0x448913264C983060, 0x0009132644881020}},
    {{0x419B277DB82859F0, 0x255A3C6EDD2245F8, 0xC783070F52A04AA7, 0xA91E94289429DB96},
     {0x5D3376EAD46C4091, 0x970118DFBC489084, 0x532F5FBE92AC5980, 0x569F6CC8F1E2860C},
     {0x011205CE91190329, 0x1C91300C1901020F, 0x55E8D1A2074C890A, 0x132050A0478F1F2E},
     {0x2842A404811900A8, 0xD3E4C0B377E6CCBB, 0xF7EEDDBB13264C01, 0x69160108D3AE5189}},
    {{0x7CBFAA60DF93ACBB, 0x31EA1CF95164239E, 0xAB5CF5BCEBB09486, 0xD536671D060738E9},
     {0x2A83730747187F02, 0x033039568A411D95, 0xA7CA5271A22FBCC3, 0x5FDA5401EB44DED8},
     {0x1F9194A40DE0894A, 0x776B1D9E28892A93, 0xC7C28607B9CD5913, 0x4722E6754CC869E2},
     {0x41AA4B026E48D3EC, 0x0AB4FDE9C942BE24, 0x5C94109142EEC331, 0xCB3261811DB77067}},
    {{0x894E0AFE6FDFC66B, 0x26F931129AE8155F, 0x14E68D833A09318A, 0x320C3F6D404AD5BA},
     {0x0697494DCE44180F, 0x48789EF0BC6F7984, 0x84F42AED5C3FFA3A, 0x2976508BFC4021CF},
     {0x9D1AEA9290467289, 0xAE0848E06BFDB6C8, 0x8C04F746222A4549, 0xCC4837E4568EDC8A},
     {0xC1E46E122FAAD8E3, 0xFBB26572E50A1E29, 0x1FF1B692F456E5B1, 0xD47400E82184825F}}};

/* Every matrix twice: for the two halves of sixteen bytes. */
KERNEL BRAGG_INLINE __m512i matrices(const uint64_t m[NBYTES])
{
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3),
                                    _mm512_castsi256_si512(_mm256_loadu_si256((const void *)m)));
}

KERNEL BRAGG_INLINE __m512i multiply(const uint64_t m[NBYTES][NBYTES], __m512i states)
{
    const __m512i a = _mm512_gf2p8affine_epi64_epi8(states, matrices(m[0]), 0);
    const __m512i b = _mm512_gf2p8affine_epi64_epi8(_mm512_shuffle_i64x2(states, states, 0x39),
                                                    matrices(m[1]), 0);
    const __m512i c = _mm512_gf2p8affine_epi64_epi8(_mm512_shuffle_i64x2(states, states, 0x4E),
                                                    matrices(m[2]), 0);
    const __m512i d = _mm512_gf2p8affine_epi64_epi8(_mm512_shuffle_i64x2(states, states, 0x93),
                                                    matrices(m[3]), 0);
    return _mm512_ternarylogic_epi64(_mm512_xor_si512(a, b), c, d, 0x96);
}

/* The sixteen states after one. */
KERNEL BRAGG_INLINE __m512i states_after(uint32_t state)
{
    const __m512i plane =
        _mm512_setr_epi64(0, 0, 0x0101010101010101, 0x0101010101010101, 0x0202020202020202,
                          0x0202020202020202, 0x0303030303030303, 0x0303030303030303);
    __m512i x = _mm512_shuffle_epi8(_mm512_set1_epi32((int)next_bits(&state)), plane);
    x = _mm512_mask_mov_epi8(x, 0xAAAAAAAAAAAAAAAA, multiply(STEPS[0], x));
    x = _mm512_mask_mov_epi8(x, 0xCCCCCCCCCCCCCCCC, multiply(STEPS[1], x));
    x = _mm512_mask_mov_epi8(x, 0xF0F0F0F0F0F0F0F0, multiply(STEPS[2], x));
    return _mm512_mask_mov_epi8(x, 0xFF00FF00FF00FF00, multiply(STEPS[3], x));
}

/* Bits of numbers that are counted side by side, and what became too large for them. */
typedef struct bit_counters {
    __m512i bit[NBITS];
    __m512i lost;
} bit_counters;

/* Three bits of the same weight: leaves their sum in *one, and returns what it carries. */
KERNEL BRAGG_INLINE __m512i add_bits(__m512i *one, __m512i b, __m512i c)
{
    const __m512i carry = _mm512_ternarylogic_epi64(*one, b, c, 0xE8);
    *one = _mm512_ternarylogic_epi64(*one, b, c, 0x96);
    return carry;
}

/* Adds eight vectors of bits. */
KERNEL BRAGG_INLINE void count_eight(bit_counters *c, const __m512i bits[8])
{
    __m512i fours[2];
    for (int k = 0; k < 2; k++) {
        const __m512i twos = add_bits(&c->bit[0], bits[4 * k], bits[4 * k + 1]);
        const __m512i more = add_bits(&c->bit[0], bits[4 * k + 2], bits[4 * k + 3]);
        fours[k] = add_bits(&c->bit[1], twos, more);
    }
    const __m512i eights = add_bits(&c->bit[2], fours[0], fours[1]);
    c->lost = _mm512_or_si512(c->lost, _mm512_and_si512(c->bit[3], eights));
    c->bit[3] = _mm512_xor_si512(c->bit[3], eights);
}

/* To which pixels sixteen counts go, NO_PIXEL in lanes that are not used. */
KERNEL BRAGG_INLINE __m512i pixels_of(__m512i states, uint32_t npixels, __mmask16 used)
{
    const __m512i none = _mm512_set1_epi32(NO_PIXEL);
    if (npixels == THROW_NPIXELS) /* the highest bytes */
        return _mm512_mask_cvtepu8_epi32(none, used, _mm512_extracti32x4_epi32(states, 3));
    const __m512i bytes = _mm512_add_epi32(
        _mm512_set1_epi32(0x30201000),
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(0x01010101)));
    const __m512i factor = _mm512_set1_epi32((int)npixels);
    const __m512i bits = _mm512_permutexvar_epi8(bytes, states);
    const __m512i low = _mm512_srli_epi32(
        _mm512_mullo_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(0xFF)), factor), 8);
    const __m512i high = _mm512_mullo_epi32(_mm512_srli_epi32(bits, 8), factor);
    return _mm512_mask_srli_epi32(none, used, _mm512_add_epi32(high, low), 24);
}

/* A vector has a bit for each of 256 pixels twice: two counts at a time. */
KERNEL BRAGG_INLINE void count_sixteen(bit_counters *c, __m512i pixels)
{
    const __m512i first = _mm512_setr_epi64(0, 64, 128, 192, 0, 64, 128, 192);
    __m512i pair = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    __m512i bits[8];
    for (int k = 0; k < 8; k++) {
        const __m512i pixel = _mm512_maskz_permutexvar_epi32(0x5555, pair, pixels);
        bits[k] = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_sub_epi64(pixel, first));
        pair = _mm512_add_epi64(pair, _mm512_set1_epi64(2));
    }
    count_eight(c, bits);
}

/* Adds the counters of the upper half to those of the lower one. */
KERNEL BRAGG_INLINE void add_halves(bit_counters *c)
{
    __m512i carry = _mm512_setzero_si512();
    for (int k = 0; k < NBITS; k++)
        carry = add_bits(&c->bit[k], _mm512_shuffle_i64x2(c->bit[k], c->bit[k], 0x4E), carry);
    c->lost = _mm512_or_si512(c->lost, carry);
}

KERNEL int throw_counts_avx512(uint32_t state, uint32_t n, uint32_t npixels, uint32_t most,
                               uint8_t count[THROW_NPIXELS])
{
    bit_counters c = {{_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                       _mm512_setzero_si512()},
                      _mm512_setzero_si512()};
    uint64_t bits[NBITS][8];
    __m512i states = states_after(state);
    for (uint32_t k = 0; k < n; k += NLANES, states = multiply(STEPS[4], states)) {
        const uint32_t left = n - k;
        const __mmask16 used = (__mmask16)(left < NLANES ? (1u << left) - 1 : 0xFFFF);
        count_sixteen(&c, pixels_of(states, npixels, used));
    }
    add_halves(&c);
    __mmask64 too_many = 0;
    for (int k = 0; k < NBITS; k++)
        _mm512_storeu_si512(bits[k], c.bit[k]);
    for (int j = 0; j < THROW_NPIXELS / 64; j++) {
        __m512i counts = _mm512_maskz_set1_epi8(bits[0][j], 1);
        for (int k = 1; k < NBITS; k++)
            counts =
                _mm512_mask_add_epi8(counts, bits[k][j], counts, _mm512_set1_epi8((char)(1 << k)));
        too_many |= _mm512_cmpgt_epu8_mask(counts, _mm512_set1_epi8((char)most));
        _mm512_storeu_si512(count + 64 * j, counts);
    }
    return (too_many | _mm512_test_epi64_mask(c.lost, c.lost)) == 0;
}
#endif
