#include <cstring>
#include <dshow.h>

// ReleaseBuffer calls it, on the thread that released the sample. The allocator holds a reference to it.
class Returned final : public IMemAllocatorNotifyCallbackTemp {
public:
    STDMETHODIMP NotifyRelease() override {
        InterlockedIncrement(&times);
        return S_OK;
    }

    STDMETHODIMP QueryInterface(REFIID wanted, void **object) override {
        const bool known = wanted == IID_IUnknown || wanted == IID_IMemAllocatorNotifyCallbackTemp;
        *object = known ? this : nullptr;
        return known ? S_OK : E_NOINTERFACE;
    }

    // It is on the stack of `serve`, which removes it before it returns.
    STDMETHODIMP_(ULONG) AddRef() override { return 2; }
    STDMETHODIMP_(ULONG) Release() override { return 1; }

    LONG times = 0;
};

static HRESULT serve(IMemAllocator *allocator, IMemAllocatorCallbackTemp *notifier) {
    ALLOCATOR_PROPERTIES requested = {32, 1500, 1, 0}, actual = {};
    HRESULT result = allocator->SetProperties(&requested, &actual);
    if (FAILED(result) || FAILED(result = allocator->Commit())) {
        return result;
    }
    Returned returned;
    notifier->SetNotify(&returned);

    IMediaSample *sample = nullptr;
    result = allocator->GetBuffer(&sample, nullptr, nullptr, 0); // blocks while all are in use
    if (SUCCEEDED(result)) {
        BYTE *bytes = nullptr;
        sample->GetPointer(&bytes);
        std::memcpy(bytes, "one packet", 10); // nothing checks that it fits
        sample->SetActualDataLength(10);

        IMediaSample *clients[] = {sample, sample};
        sample->AddRef();
        LONG free_count = 0;
        notifier->GetFreeCount(&free_count); // 31
        for (IMediaSample *client : clients) {
            client->Release();
        }
        notifier->GetFreeCount(&free_count); // 32, and `returned.times` is 1
    }
    notifier->SetNotify(nullptr); // otherwise the two keep each other alive
    allocator->Decommit();
    return result;
}

int main() {
    if (FAILED(CoInitializeEx(nullptr, COINIT_MULTITHREADED))) {
        return 1;
    }
    IMemAllocator *allocator = nullptr;
    IMemAllocatorCallbackTemp *notifier = nullptr;
    HRESULT result = CoCreateInstance(CLSID_MemoryAllocator, nullptr, CLSCTX_INPROC_SERVER,
                                      IID_IMemAllocator, reinterpret_cast<void **>(&allocator));
    if (SUCCEEDED(result)) {
        result = allocator->QueryInterface(IID_IMemAllocatorCallbackTemp,
                                           reinterpret_cast<void **>(&notifier));
    }
    if (SUCCEEDED(result)) {
        result = serve(allocator, notifier);
        notifier->Release();
    }
    if (allocator != nullptr) {
        allocator->Release();
    }
    CoUninitialize();
    return SUCCEEDED(result) ? 0 : 1;
}
