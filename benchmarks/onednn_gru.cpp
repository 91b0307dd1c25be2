// One GRU layer in oneDNN: a training step and an inference pass behind a C interface for ctypes.
//
// Arrays are float32, time-major (T, B, channels); weights come as (D, 3, H), (H, 3, H) and (3, H)
// in oneDNN's order of the gates: update, reset, candidate. The initial state is zero.

#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <omp.h>
#include <xmmintrin.h>

#include "oneapi/dnnl/dnnl.hpp"

namespace {

using dnnl::memory;
using Desc = memory::desc;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

constexpr unsigned FLUSH_DENORMALS = 0x8040;  // flush-to-zero and denormals-are-zero

thread_local std::string last_error;

// Sets the number of threads and flushes denormals during one call. Both are restored afterwards, so
// that other code in this OpenMP runtime is not affected.
class Environment {
public:
    explicit Environment(int threads)
        : threads_(threads), previous_(omp_get_max_threads()), control_(threads, _mm_getcsr()) {
        omp_set_num_threads(threads_);
        // Each thread has its own control register.
#pragma omp parallel num_threads(threads_)
        {
            unsigned &saved = control_[omp_get_thread_num()];
            saved = _mm_getcsr();
            _mm_setcsr(saved | FLUSH_DENORMALS);
        }
    }

    ~Environment() {
#pragma omp parallel num_threads(threads_)
        _mm_setcsr(control_[omp_get_thread_num()]);
        omp_set_num_threads(previous_);
    }

    Environment(const Environment &) = delete;
    Environment &operator=(const Environment &) = delete;

private:
    int threads_, previous_;
    std::vector<unsigned> control_;
};

float *data(const memory &m) { return static_cast<float *>(m.get_data_handle()); }

void fill(const memory &m, const float *values) {
    std::memcpy(m.get_data_handle(), values, m.get_desc().get_size());
}

void clear(const memory &m) { std::memset(m.get_data_handle(), 0, m.get_desc().get_size()); }

// An array in plain format, and a copy in the format that a primitive requires if they differ.
class Formatted {
public:
    Formatted() = default;

    Formatted(const memory &plain, const Desc &wanted) : plain_(plain), own_(plain) {
        if (wanted != plain.get_desc()) own_ = memory(wanted, plain.get_engine());
    }

    bool differs() const { return own_.get() != plain_.get(); }
    const memory &get() const { return own_; }

    void load(dnnl::stream &stream) {
        if (!differs()) return;
        if (!load_) load_ = dnnl::reorder(plain_, own_);
        load_.execute(stream, {{DNNL_ARG_FROM, plain_}, {DNNL_ARG_TO, own_}});
    }

    void store(dnnl::stream &stream) {
        if (!differs()) return;
        if (!store_) store_ = dnnl::reorder(own_, plain_);
        store_.execute(stream, {{DNNL_ARG_FROM, own_}, {DNNL_ARG_TO, plain_}});
    }

private:
    memory plain_, own_;
    dnnl::reorder load_, store_;
};

class GRU {
public:
    GRU(memory::dim B, memory::dim T, memory::dim D, memory::dim H, int threads, bool training,
        const float *x, const float *w, const float *u, const float *b, const float *dh)
        : threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_),
          x_desc_({T, B, D}, memory::data_type::f32, Tag::tnc),
          h_desc_({T, B, H}, memory::data_type::f32, Tag::tnc),
          w_desc_({1, 1, D, 3, H}, memory::data_type::f32, Tag::ldigo),
          u_desc_({1, 1, H, 3, H}, memory::data_type::f32, Tag::ldigo),
          b_desc_({1, 1, 3, H}, memory::data_type::f32, Tag::ldgo),
          any_w_desc_({1, 1, D, 3, H}, memory::data_type::f32, Tag::any),
          any_u_desc_({1, 1, H, 3, H}, memory::data_type::f32, Tag::any),
          x_(x_desc_, engine_), h_(h_desc_, engine_), w_(w_desc_, engine_), u_(u_desc_, engine_),
          b_(b_desc_, engine_) {
        // Primitives are planned for the number of threads at their creation.
        Environment environment(threads_);
        fill(x_, x);
        fill(w_, w);
        fill(u_, u);
        fill(b_, b);
        create_inference();
        if (training) create_training(dh, static_cast<std::size_t>((T - 1) * B * H));
        stream_.wait();
    }

    void predict() {
        Environment environment(threads_);
        inference_.execute(stream_, inference_arguments_);
        stream_.wait();
    }

    void step() {
        if (!forward_) throw dnnl::error(dnnl_invalid_arguments, "created without training");
        Environment environment(threads_);
        // Training changes the weights at every step. An optimizer would update them in the format
        // ldigo: if a primitive requires another one, the reorder is part of the step. It is skipped
        // if the primitive accepts ldigo.
        for (auto *weights : {&forward_w_, &forward_u_}) weights->load(stream_);
        forward_.execute(stream_, forward_arguments_);
        for (auto *weights : {&backward_w_, &backward_u_}) weights->load(stream_);
        // oneDNN adds to the gradients of the weights.
        for (const auto &m : {dw_own_.get(), du_own_.get(), db_}) clear(m);
        backward_.execute(stream_, backward_arguments_);
        for (auto *gradient : {&dw_own_, &du_own_}) gradient->store(stream_);
        stream_.wait();
    }

    void outputs(float *h) const { std::memcpy(h, data(h_), h_desc_.get_size()); }

    void gradients(float *dw, float *du, float *db, float *dx) const {
        if (!forward_) throw dnnl::error(dnnl_invalid_arguments, "created without training");
        std::memcpy(dw, data(dw_), w_desc_.get_size());
        std::memcpy(du, data(du_), u_desc_.get_size());
        std::memcpy(db, data(db_), b_desc_.get_size());
        std::memcpy(dx, data(dx_), x_desc_.get_size());
    }

    const std::string &description() const { return description_; }

private:
    dnnl::gru_forward::primitive_desc forward_desc(dnnl::prop_kind kind) const {
        // Empty descriptors: the initial state is zero, and the last one is not needed.
        return {engine_, kind, dnnl::rnn_direction::unidirectional_left2right, x_desc_, Desc(),
                any_w_desc_, any_u_desc_, b_desc_, h_desc_, Desc()};
    }

    void create_inference() {
        const auto desc = forward_desc(dnnl::prop_kind::forward_inference);
        inference_ = dnnl::gru_forward(desc);
        // Inference weights do not change: reorder them once, outside of predict().
        Formatted w(w_, desc.weights_layer_desc()), u(u_, desc.weights_iter_desc());
        w.load(stream_);
        u.load(stream_);
        inference_arguments_ = {{DNNL_ARG_SRC_LAYER, x_}, {DNNL_ARG_WEIGHTS_LAYER, w.get()},
                                {DNNL_ARG_WEIGHTS_ITER, u.get()}, {DNNL_ARG_BIAS, b_},
                                {DNNL_ARG_DST_LAYER, h_}};
        describe("inference", desc.impl_info_str(), {{"W", &w}, {"U", &u}});
    }

    void create_training(const float *dh, std::size_t offset) {
        const auto desc = forward_desc(dnnl::prop_kind::forward_training);
        const dnnl::gru_backward::primitive_desc backward_desc(
            engine_, dnnl::prop_kind::backward, dnnl::rnn_direction::unidirectional_left2right,
            x_desc_, Desc(), any_w_desc_, any_u_desc_, b_desc_, h_desc_, Desc(), x_desc_, Desc(),
            any_w_desc_, any_u_desc_, b_desc_, h_desc_, Desc(), desc);
        forward_ = dnnl::gru_forward(desc);
        backward_ = dnnl::gru_backward(backward_desc);

        dw_ = memory(w_desc_, engine_);
        du_ = memory(u_desc_, engine_);
        db_ = memory(b_desc_, engine_);
        dx_ = memory(x_desc_, engine_);
        dh_ = memory(h_desc_, engine_);
        for (const auto &m : {dw_, du_, db_, dx_, dh_}) clear(m);
        const auto bytes = h_desc_.get_size() - offset * sizeof(float);
        std::memcpy(data(dh_) + offset, dh, bytes);

        forward_w_ = Formatted(w_, desc.weights_layer_desc());
        forward_u_ = Formatted(u_, desc.weights_iter_desc());
        backward_w_ = Formatted(w_, backward_desc.weights_layer_desc());
        backward_u_ = Formatted(u_, backward_desc.weights_iter_desc());
        dw_own_ = Formatted(dw_, backward_desc.diff_weights_layer_desc());
        du_own_ = Formatted(du_, backward_desc.diff_weights_iter_desc());

        const memory workspace(desc.workspace_desc(), engine_);
        forward_arguments_ = {{DNNL_ARG_SRC_LAYER, x_},
                              {DNNL_ARG_WEIGHTS_LAYER, forward_w_.get()},
                              {DNNL_ARG_WEIGHTS_ITER, forward_u_.get()}, {DNNL_ARG_BIAS, b_},
                              {DNNL_ARG_DST_LAYER, h_}, {DNNL_ARG_WORKSPACE, workspace}};
        backward_arguments_ = {{DNNL_ARG_SRC_LAYER, x_},
                               {DNNL_ARG_WEIGHTS_LAYER, backward_w_.get()},
                               {DNNL_ARG_WEIGHTS_ITER, backward_u_.get()}, {DNNL_ARG_BIAS, b_},
                               {DNNL_ARG_DST_LAYER, h_}, {DNNL_ARG_WORKSPACE, workspace},
                               {DNNL_ARG_DIFF_DST_LAYER, dh_}, {DNNL_ARG_DIFF_SRC_LAYER, dx_},
                               {DNNL_ARG_DIFF_WEIGHTS_LAYER, dw_own_.get()},
                               {DNNL_ARG_DIFF_WEIGHTS_ITER, du_own_.get()},
                               {DNNL_ARG_DIFF_BIAS, db_}};
        describe("forward", desc.impl_info_str(), {{"W", &forward_w_}, {"U", &forward_u_}});
        describe("backward", backward_desc.impl_info_str(),
                 {{"W", &backward_w_}, {"U", &backward_u_}, {"dW", &dw_own_}, {"dU", &du_own_}});
    }

    void describe(const char *pass, const char *implementation,
                  const std::vector<std::pair<const char *, const Formatted *>> &arrays) {
        if (!description_.empty()) description_ += "; ";
        description_ += std::string(pass) + " " + implementation + ", reordered:";
        bool any = false;
        for (const auto &[name, array] : arrays) {
            if (array->differs()) description_ += std::string(" ") + name;
            any = any || array->differs();
        }
        if (!any) description_ += " none";
    }

    int threads_;
    dnnl::engine engine_;
    dnnl::stream stream_;
    Desc x_desc_, h_desc_, w_desc_, u_desc_, b_desc_, any_w_desc_, any_u_desc_;
    memory x_, h_, w_, u_, b_, dw_, du_, db_, dx_, dh_;
    Formatted forward_w_, forward_u_, backward_w_, backward_u_, dw_own_, du_own_;
    dnnl::gru_forward inference_, forward_;
    dnnl::gru_backward backward_;
    Arguments inference_arguments_, forward_arguments_, backward_arguments_;
    std::string description_;
};

// Exceptions must not cross the C interface. Returns 0 on success, else 1 and sets last_error.
template <typename Function>
int guarded(Function function) {
    try {
        function();
        return 0;
    } catch (const std::exception &error) {
        last_error = error.what();
        return 1;
    }
}

}  // namespace

extern "C" {

const char *gru_error() { return last_error.c_str(); }

GRU *gru_create(int B, int T, int D, int H, int threads, int training, const float *x,
                const float *w, const float *u, const float *b, const float *dh) {
    GRU *gru = nullptr;
    guarded([&] { gru = new GRU(B, T, D, H, threads, training != 0, x, w, u, b, dh); });
    return gru;
}

void gru_destroy(GRU *gru) { delete gru; }

int gru_step(GRU *gru) {
    return guarded([&] { gru->step(); });
}

int gru_predict(GRU *gru) {
    return guarded([&] { gru->predict(); });
}

void gru_outputs(const GRU *gru, float *h) { gru->outputs(h); }

int gru_gradients(const GRU *gru, float *dw, float *du, float *db, float *dx) {
    return guarded([&] { gru->gradients(dw, du, db, dx); });
}

const char *gru_description(const GRU *gru) { return gru->description().c_str(); }

}  // extern "C"
