// The order in which a product over taps and channels is walked, and in which its weights lie.
//
// A phase is a run of channels that share weight group and offset group, under some kTapsHeld taps. It goes through 64
// channels at a time, and for each of them through its taps: 64 channels of one tap are a step. Neighbouring taps read
// much the same places, which the cache holds while the channels stay. A phase's steps are filled up to whole stages.
#pragma once

#include <algorithm>

#include "../common/number.h"
#include "deform_conv2d.h"

namespace t2t {

constexpr int kTapsHeld = 9;
constexpr int kChunk = 64;  // channels of a step

struct Walk {
    int32_t taps, each, span;  // channels of a group, channels of a phase
    int32_t steps_a_stage;

    T2T_HD int32_t windows() const { return (taps + kTapsHeld - 1) / kTapsHeld; }
    T2T_HD int32_t chunks() const { return (span + kChunk - 1) / kChunk; }
    T2T_HD int32_t phases() const { return each / span * windows(); }
    T2T_HD int32_t held(int32_t window) const {
        int32_t const left = taps - window * kTapsHeld;
        return left < kTapsHeld ? left : kTapsHeld;
    }
    T2T_HD int32_t stages(int32_t window) const {
        return (chunks() * held(window) + steps_a_stage - 1) / steps_a_stage;
    }
    // Of all windows of one run of channels, and of the group.
    T2T_HD int32_t stages_a_run() const { return (windows() - 1) * stages(0) + stages(windows() - 1); }
    T2T_HD int32_t stages() const { return each / span * stages_a_run(); }
    // The group's step that has a channel of the group under a tap.
    T2T_HD int32_t step(int32_t channel, int32_t tap) const {
        int32_t const run = channel / span, window = tap / kTapsHeld;
        int32_t const within = (channel - run * span) / kChunk * held(window) + tap - window * kTapsHeld;
        return (run * stages_a_run() + window * stages(0)) * steps_a_stage + within;
    }
};

constexpr int kStrip = 16;  // places

// A place of the result. They are numbered image by image, and an image's strip by strip of kStrip columns: a block's
// places lie near each other, and read much the same, which the cache then holds.
struct Place {
    int64_t image, y, x;

    T2T_HD Place(DeformConv2d const& op, int64_t number) {
        int64_t const width = op.out_width(), height = op.out_height(), area = height * width;
        image = quotient(number, area);
        int64_t const within = number - image * area, strip = quotient(within, height * kStrip);
        int64_t const left = width - strip * kStrip, across = left < kStrip ? left : kStrip;
        int64_t const rest = within - strip * height * kStrip;
        y = quotient(rest, across);
        x = strip * kStrip + rest - y * across;
    }
};

// Channels that one weight group and one offset group share throughout; 0 where they do not divide each other.
inline int64_t shared_span(DeformConv2d const& op) {
    int64_t const each = op.channels / op.groups, per_offset_group = op.channels / op.offset_groups;
    int64_t const span = std::min(each, per_offset_group);
    return span > 0 && each % span == 0 && per_offset_group % span == 0 ? span : 0;
}

inline Walk walk_of(DeformConv2d const& op, int32_t steps_a_stage) {
    return {int32_t(op.taps()), int32_t(op.channels / op.groups), int32_t(shared_span(op)), steps_a_stage};
}

}  // namespace t2t
