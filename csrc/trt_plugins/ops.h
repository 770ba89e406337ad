// The creators of all plugins; each is in the file of its op.
#pragma once

#include <NvInfer.h>

namespace t2t::trt_plugins {

nvinfer1::IPluginCreatorInterface* correlation_creator();
nvinfer1::IPluginCreatorInterface* deform_conv2d_creator();
nvinfer1::IPluginCreatorInterface* grid_sample_3d_creator();
nvinfer1::IPluginCreatorInterface* ms_deform_attn_creator();
nvinfer1::IPluginCreatorInterface* roi_align_creator();
nvinfer1::IPluginCreatorInterface* scatter_reduce_creator();

}  // namespace t2t::trt_plugins
